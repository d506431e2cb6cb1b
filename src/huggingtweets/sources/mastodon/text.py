"""The HTML of Mastodon and its relatives to plain text.

In: a post's `content`, as servers write it. Out: what a reader sees, with links written out.

- Paragraphs are divided by a blank line, `<br>` is a line break, list items begin with "- ".
- A link that shows its address becomes the whole address, because half of it is hidden; words that a link hangs on
  stay, as the author's own, and so do mentions and hashtags.
- The paragraph "RE: ..." that stands in for a quoted post goes; so do emoji of the server's own (`:blobcat:`).
- Anything may be missing, unclosed or nested; time grows with the length alone.

Not covered: dividing HTML into tags and texts (see `mastodon.html`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from huggingtweets.sources.mastodon.html import Tag, pieces

_BLOCKS = frozenset(
    (
        *(
            "p",
            "div",
            "blockquote",
            "ul",
            "ol",
            "dl",
            "pre",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "table",
            "article",
        ),
        *(
            "section",
            "header",
            "footer",
            "main",
            "aside",
            "nav",
            "figure",
            "figcaption",
            "details",
            "summary",
            "address",
        ),
        *("center", "form", "fieldset"),
    )
)
_LINES = frozenset(("li", "dt", "dd", "tr"))
_LISTS = frozenset(("ul", "ol"))
_CELLS = frozenset(("td", "th"))
_VOID = frozenset(("br", "img", "hr", "wbr", "input", "meta", "link", "source", "col", "area", "base", "embed"))
_NAMES = frozenset(("mention", "hashtag"))  # classes of a link whose text is a name
_QUOTE, _HIDDEN = "quote-inline", "invisible"  # classes too
_EMOJI = re.compile(r"emoji|smiley", re.IGNORECASE)  # in the class of a picture
_SHORTCODE = re.compile(r"\u200b?(?<!\w):([\w+.-]{1,100}):(?!\w)\u200b?")
_SHOWN_ADDRESS = re.compile(r"https?://\S+|(?:[\w-]+\.)+[^\W\d_][\w-]+(?::\d+)?(?:[/?#]\S*|…|\.{2,3})?", re.IGNORECASE)


def html_to_text(html: str, emoji: Collection[str] = ()) -> str:
    """
    >>> html_to_text('<p>Bread &amp; butter<br>today</p><p>at <a href="https://a.example/b">a.exam…</a></p>')
    'Bread & butter\\ntoday\\n\\nat https://a.example/b'
    """
    reader = _Reader()
    for piece in pieces(html):
        if isinstance(piece, str):
            reader.text(piece)
        elif piece.is_end:
            reader.end(piece.name)
        else:
            reader.start(piece)
    return _tidied(reader.finish(), emoji)


def without_emoji(text: str, emoji: Collection[str]) -> str:
    """
    >>> without_emoji("at 10:30:45 :bread: we :bake:", {"bread", "30"})
    'at 10:30:45  we :bake:'
    """
    return _SHORTCODE.sub(lambda found: "" if found[1] in emoji else found[0], text) if emoji else text


def _tidied(text: str, emoji: Collection[str]) -> str:
    lines = (" ".join(line.split()) for line in without_emoji(text, emoji).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader:
    """What has been read so far, and what is open."""

    def __init__(self) -> None:
        self._read: list[str] = []
        self._break = 0  # line breaks before the next word
        self._bullet = ""
        self._link: str | None = None  # the address of the open link, while its text is gathered
        self._shown: list[str] = []
        self._is_name = False  # the open link is a mention or a hashtag
        self._is_after_link = False
        self._lists = self._pres = 0  # how many are open
        self._silent: str | None = None  # the open element whose text is not read
        self._inside: Counter[str] = Counter()  # what is open in it

    def finish(self) -> str:
        self._close_link()
        return "".join(self._read)

    def start(self, tag: Tag) -> None:
        if self._silent and not self._is_ended_by_start(tag.name):
            self._inside[tag.name] += tag.name not in _VOID
            return
        classes = tag.attributes.get("class", "").split()
        if tag.name in _BLOCKS or tag.name in _LINES:
            self._divide(tag.name, opens=True)
        if tag.name == "template" or _QUOTE in classes or (self._is_name and _HIDDEN in classes):
            self._be_silent(tag.name)
        elif tag.name == "br":
            self._line_break()
        elif tag.name in _CELLS:
            self.text(" ")
        elif tag.name == "a":
            self._open_link(tag.attributes, classes)
        elif tag.name == "img":
            self._picture(tag.attributes)

    def end(self, name: str) -> None:
        if self._silent and not self._is_ended_by_end(name):
            return
        if name in _BLOCKS or name in _LINES:
            self._divide(name, opens=False)
        elif name == "a":
            self._close_link()
        elif name == "br":  # browsers take it for one
            self._line_break()

    def text(self, text: str) -> None:
        if self._silent:
            return
        if not self._pres:
            text = text.replace("\r", " ").replace("\n", " ")
        if self._link is None:
            self._write(text)
        else:
            self._shown.append(text)

    def _write(self, text: str) -> None:
        if self._break or not self._read:
            text = text.lstrip()
        if not text:
            return
        if self._is_after_link and (text[0].isalnum() or text[0] in "#@"):
            # Where no space is needed after a link, as in Japanese, the address would run on into the next word.
            text = f" {text}"
        self._is_after_link = False
        self._read.append(f"{chr(10) * self._break if self._read else ''}{self._bullet}{text}")
        self._break, self._bullet = 0, ""

    def _divide(self, name: str, *, opens: bool) -> None:
        """A block or a line begins or ends, and so does whatever was left open in the one before."""
        self._close_link()
        is_inner = name in _LINES or (name in _LISTS and self._lists > (0 if opens else 1))
        if not self._bullet:  # "- " and a paragraph in it are one line
            self._break = max(self._break, 1 if is_inner else 2)
        self._is_after_link = False
        change = 1 if opens else -1
        if name in _LISTS:
            self._lists = max(0, self._lists + change)
        elif name == "pre":
            self._pres = max(0, self._pres + change)
        elif name == "li":
            self._bullet = "- " if opens else ""

    def _line_break(self) -> None:
        if self._link is not None:
            self._shown.append(" ")
        elif not self._bullet and not self._silent:
            self._break += 1
            self._is_after_link = False

    def _open_link(self, attributes: Mapping[str, str], classes: Collection[str]) -> None:
        self._close_link()
        address = attributes.get("href", "").strip()
        self._is_name = not _NAMES.isdisjoint(classes) or "tag" in attributes.get("rel", "").split()
        if not self._is_name and address.lower().startswith(("http://", "https://")):
            self._link = re.sub(r"\s", "%20", address)

    def _close_link(self) -> None:
        address, shown = self._link, "".join(self._shown)
        self._link, self._is_name = None, False
        self._shown.clear()
        if address is None:
            return
        if not _SHOWN_ADDRESS.fullmatch(shown.strip()):
            self._write(shown)
            return
        self._write(f" {address}" if shown[0].isspace() else address)
        self._is_after_link = not shown[-1].isspace()
        self._write(" " if shown[-1].isspace() else "")

    def _picture(self, attributes: Mapping[str, str]) -> None:
        """Of a picture, only an emoji is part of the text; one of the server's own has a name for an alt."""
        alt = attributes.get("alt", "")
        if _EMOJI.search(attributes.get("class", "")) and not _SHORTCODE.fullmatch(alt.strip()):
            self.text(alt)

    def _be_silent(self, name: str) -> None:
        self._close_link()
        if name not in _VOID:
            self._silent = name
            self._inside.clear()

    def _is_ended_by_start(self, name: str) -> bool:
        """A paragraph ends where the next block begins."""
        if self._silent == "p" and name in _BLOCKS:
            self._silent = None
        return self._silent is None

    def _is_ended_by_end(self, name: str) -> bool:
        """By its own end, or by that of a block around it; ends of what was opened inside are passed over."""
        if self._inside[name]:
            self._inside[name] -= 1
        elif name == self._silent or name in _BLOCKS or name in _LINES:
            self._silent = None
        return self._silent is None
