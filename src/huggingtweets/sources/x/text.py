"""The text of a post on X with its links as they should be: media and quoted posts out, the others written out.

In: the text as X has it, and its entities in any of three shapes: `indices` (v1.1 and the archive), `start` and `end`
(v2), `fromIndex` and `toIndex` (notes). Out: the text, and whether it quoted a post.

- Places are code points of the text as it stands, escaped or not; numbers may be strings. A place that does not hold
  the link is not believed, and the link is looked for instead.
- Links are edited from the last to the first, before anything is unescaped.
- A quoted post is the link to a post that stands last; its words are not the author's. A long post's short form ends
  with a link to itself, which goes without making it a quote.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_POST_ADDRESS = re.compile(
    r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/(?:i/web|\w+)/status(?:es)?/(\d+)/?(?:\?\S*)?", re.I
)
_MEDIA_ADDRESS = re.compile(r"https?://(?:www\.)?(?:twitter|x)\.com/\w+/status/\d+/(?:photo|video)/\d+", re.I)
_WEB_ADDRESS = re.compile(r"https?://\S+", re.I)
LONGEST_ADDRESS = 4_000  # characters
MOST_LINKS = 200  # more than fit into the longest post that anybody reads


@dataclass(frozen=True, slots=True)
class Link:
    """One shortened link."""

    short: str
    expanded: str | None
    start: int
    end: int
    is_media: bool

    @property
    def post_id(self) -> str | None:
        """The post that it leads to."""
        found = _POST_ADDRESS.fullmatch(self.expanded or "")
        return found[1] if found else None


def links_of(*entities: object) -> list[Link]:
    """Every link that the entities name, once each; whatever is of the wrong shape is passed over."""
    links: dict[tuple[str, int], Link] = {}
    for link in itertools.islice(_links(entities), MOST_LINKS):
        links.setdefault((link.short, link.start), link)  # several photos share a link and its place
    return list(links.values())


def _links(entities: Iterable[object]) -> Iterator[Link]:
    for entity in entities:
        if not isinstance(entity, dict):
            continue
        for name in ("media", "urls"):
            items = entity.get(name)
            for item in items if isinstance(items, list) else []:
                if isinstance(item, dict) and (link := _link(item, is_media=name == "media")):
                    yield link


def _link(item: dict[str, object], is_media: bool) -> Link | None:
    short = item.get("url") or item.get("shortUrl")
    if not isinstance(short, str) or not short or len(short) > LONGEST_ADDRESS:
        return None
    expanded = next(
        (value for name in ("unwound_url", "expanded_url", "expandedUrl") if isinstance(value := item.get(name), str)),
        None,
    )
    indices = item.get("indices")
    places = indices if isinstance(indices, list) and len(indices) == 2 else None
    start, end = places or (item.get("start", item.get("fromIndex")), item.get("end", item.get("toIndex")))
    shows_media = isinstance(expanded, str) and bool(_MEDIA_ADDRESS.fullmatch(expanded))
    return Link(short, expanded, _number(start), _number(end), is_media or "media_key" in item or shows_media)


def _number(value: object) -> int:
    """-1 is a place that no text has."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def apply_links(text: str, links: Iterable[Link], *, escaped: bool, own_id: str | None = None) -> tuple[str, bool]:
    """
    >>> link = Link("https://t.co/a", "https://example.org/?a=1&b=2", 4, 18, False)
    >>> apply_links("Map https://t.co/a", [link], escaped=True)
    ('Map https://example.org/?a=1&amp;b=2', False)
    """
    quotes = False
    for start, link in sorted(((_place(text, link), link) for link in links), key=lambda pair: -pair[0]):
        if start < 0 or not text.startswith(link.short, start):
            continue
        before, after = text[:start], text[start + len(link.short) :]
        if link.is_media:
            text = before.rstrip() + after if not after.strip() else before.rstrip() + " " + after.lstrip()
        elif link.post_id is not None and not after.strip():
            text, quotes = before.rstrip(), quotes or link.post_id != own_id
        elif link.expanded and len(link.expanded) <= LONGEST_ADDRESS and _WEB_ADDRESS.fullmatch(link.expanded):
            text = before + (html.escape(link.expanded, quote=False) if escaped else link.expanded) + after
    return text, quotes


def _place(text: str, link: Link) -> int:
    """Where the link stands, -1 where it does not: texts are cut, and entities are not."""
    if link.start >= 0 and text[link.start : link.end] == link.short:
        return link.start
    return text.find(link.short)
