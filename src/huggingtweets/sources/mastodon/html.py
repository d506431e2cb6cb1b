"""HTML as a row of texts and tags, in one pass, as a browser divides it.

In: any text. Out: its pieces in order; texts with their entities written out, tags with their attributes.

- Time grows with the length alone: the standard library's parser takes minutes for some 60 kB of open brackets.
- What is not closed by the end of the text (a tag, a comment) goes, as in a browser; "<" before anything but a name is
  a character.
- Comments, and what stands in `<script>` and its like, are no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from huggingtweets.escaping import unescaped

_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
# One attribute, or what stands between two; the alternatives begin differently, so no place is looked at twice.
_ATTRIBUTE = re.compile(r"""[\s/]+|([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?|=""")
_OTHER_MARKUP = re.compile(r"<(?:[!?]|/[^A-Za-z])")
_RAW = frozenset(("script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp"))
_ENDS = {name: re.compile(rf"</{name}(?![^\s/>])", re.IGNORECASE) for name in _RAW}


class Tag(NamedTuple):
    """`<a href="x">` or `</a>`."""

    name: str  # in lower case
    is_end: bool
    attributes: Mapping[str, str]


def pieces(source: str) -> Iterator[str | Tag]:
    """
    >>> list(pieces("fish &amp; <b>chips</b> <3"))
    ['fish & ', Tag(name='b', is_end=False, attributes={}), 'chips', Tag(name='b', is_end=True, attributes={}), ' <3']
    """
    at = done = 0
    while (at := source.find("<", at)) >= 0:
        found = _TAG.match(source, at)
        tag, end = _tag(source, found) if found else (None, _end_of_other(source, at))
        if end == at:  # a character
            at += 1
            continue
        if done < at:
            yield unescaped(source[done:at])
        at = done = end
        if tag is not None:
            yield tag
        if tag is not None and tag.name in _RAW and not tag.is_end:
            closed = _ENDS[tag.name].search(source, at)
            at = done = closed.start() if closed else len(source)
    if done < len(source):
        yield unescaped(source[done:])


def _tag(source: str, begun: re.Match[str]) -> tuple[Tag | None, int]:
    """The tag and the place behind it; none where the text ends first."""
    attributes: dict[str, str] = {}
    at = begun.end()
    while not source.startswith(">", at):
        found = _ATTRIBUTE.match(source, at)
        if found is None:
            return None, len(source)
        at = found.end()
        if found[1]:
            value = next(filter(None, found.groups()[1:]), "")
            attributes.setdefault(found[1].lower(), unescaped(value))
    return Tag(begun[2].lower(), bool(begun[1]), attributes), at + 1


def _end_of_other(source: str, at: int) -> int:
    """Behind a comment or a declaration; `at` where the text goes on."""
    if source.startswith("<!--", at):
        end = source.find("-->", at + 2)  # "<!-->" is whole
        return len(source) if end < 0 else end + 3
    if _OTHER_MARKUP.match(source, at):
        end = source.find(">", at)
        return len(source) if end < 0 else end + 1
    return at
