"""The HTML of Mastodon and its relatives to plain text.

In: a post's `content`, as servers write it. Out: what a reader sees, with links written out.

- Paragraphs are divided by a blank line, `<br>` is a line break, list items begin with "- ".
- A link becomes its address, because its text hides half of it; mentions and hashtags keep theirs.
- The paragraph "RE: ..." that stands in for a quoted post goes; so do emoji of the server's own (`:blobcat:`).
- Anything may be missing, unclosed or nested; the parser of the standard library forgives it all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html.parser import HTMLParser

_BLOCKS = frozenset(("p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
_UNREAD = frozenset(("script", "style", "template", "title", "head"))
_MENTION_CLASSES = frozenset(("mention", "hashtag", "u-url"))
_QUOTE_CLASS = "quote-inline"
_VOID = frozenset(("br", "img", "hr", "wbr", "input", "meta", "link"))
_SHORTCODE = re.compile(r":([A-Za-z0-9_]{2,50}):")


def html_to_text(html: str, emoji: Collection[str] = ()) -> str:
    """
    >>> html_to_text('<p>Bread &amp; butter<br>today</p><p>at <a href="https://a.example/b">a.exam…</a></p>')
    'Bread & butter\\ntoday\\n\\nat https://a.example/b'
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = "".join(reader.parts)
    if emoji:
        text = _SHORTCODE.sub(lambda found: "" if found[1] in emoji else found[0], text)
    text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []  # the open elements whose text is not read, outermost first
        self._depth_of_link = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent:
            if tag not in _VOID:
                self._silent.append(tag)
            return
        named = dict(attrs)
        classes = set((named.get("class") or "").split())
        if tag in _UNREAD or _QUOTE_CLASS in classes:
            self._silent.append(tag)
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag == "a":
            self._open_link(named.get("href") or "", classes, named.get("rel") or "")
        elif tag == "img":
            self.parts.append(named.get("alt") or "")

    def _open_link(self, address: str, classes: set[str], rel: str) -> None:
        is_name = classes & _MENTION_CLASSES or "tag" in rel.split()
        if not is_name and address.startswith(("http://", "https://")):
            self.parts.append("".join(address.split()))
            self._silent.append("a")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            while tag in self._silent and self._silent.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace("\r", "").replace("\n", " "))
