"""Foreign text, such as names and predictions, made safe: one function a context.

`plain` gives one visible line; `inline` serves Markdown and HTML alike, but for the beginning of a line; `attribute` an
HTML attribute; `python_string` an example of code. The last three begin with the first. `unescaped` is the way back.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata

LINE_LETTERS = 300

_INVISIBLE_KEPT = frozenset("\u200c\u200d") | frozenset(map(chr, range(0xE0020, 0xE0080)))  # emoji, Persian, flags
_BLANK = re.compile(r"[\s\u115f\u1160\u2800\u3164\uffa0]+")  # letters that look like nothing are space too
_SPECIAL = re.compile(r"""["#$&*+<=>@\[\\\]^_`{|}~]""")
_AUTOLINK = re.compile(r"(&#(?:35|36|64|92);|:(?=//)|www(?=\.))(?=\S)", re.IGNORECASE)  # # $ @ \ http:// www.

_NO_CHARACTER = re.compile(r"&#[0-9]{8,};?")  # Python refuses to read thousands of digits


def unescaped(text: str) -> str:
    """HTML's escapes written out, once.

    >>> unescaped("&lt;3 &#128512; &#99999999999; &amp;amp;")
    '<3 😀 � &amp;'
    """
    return html.unescape(_NO_CHARACTER.sub("�", text)) if "&" in text else text


def plain(text: str, letters: int = LINE_LETTERS) -> str:
    """One line, at most so long, of what can be seen: no controls, no marks that turn the line around.

    >>> plain("a\\nb \\u202ec"), plain("\\u200b\\u3164 "), plain("abcdef", 4)
    ('a b c', '', 'abc…')
    """
    kept = "".join(letter for letter in _BLANK.sub(" ", text) if _is_kept(letter))
    line = _BLANK.sub(" ", kept).strip()
    return shorten(line, letters) if any(map(_is_visible, line)) else ""


def _is_kept(letter: str) -> bool:
    return letter in _INVISIBLE_KEPT or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")


def _is_visible(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cf", "Mn", "Mc", "Me", "Zs")


def shorten(text: str, letters: int) -> str:
    """Cuts where one sign ends and the next begins: a family emoji stays whole or goes.

    >>> shorten("Hi 👨‍👩‍👧", 6)
    'Hi…'
    """
    if len(text) <= letters:
        return text
    last = letters - 1
    ends = (end for end in range(last, max(0, last - 32), -1) if not _continues(text, end))
    return text[: next(ends, last)].rstrip() + "…"


def _continues(text: str, end: int) -> bool:
    """Whether the letter at `end` belongs to the sign before it: accents, joined emoji, skin tones, flags."""
    before, letter = text[end - 1], text[end]
    return (
        unicodedata.category(letter) in ("Mn", "Mc", "Me", "Cf")
        or before == "\u200d"
        or "\U0001f3fb" <= letter <= "\U0001f3ff"
        or all("\U0001f1e6" <= flag <= "\U0001f1ff" for flag in (before, letter))
    )


def attribute(text: str) -> str:
    """For an HTML attribute between double quotes.

    >>> attribute('"><b>')
    '&#34;&#62;&#60;b&#62;'
    """
    return _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", plain(text))


def inline(text: str, letters: int = LINE_LETTERS) -> str:
    """For Markdown and HTML alike, but for the beginning of a line.

    An entity keeps a sign from being markup. What renderers make links, mentions or formulas of *after* they have
    read the entities is parted by an empty element, which nobody sees.

    >>> inline("*a* | b"), inline("@you")
    ('&#42;a&#42; &#124; b', '&#64;<span></span>you')
    """
    escaped = _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", plain(text, letters))
    return _AUTOLINK.sub(r"\1<span></span>", escaped)


def python_string(text: str) -> str:
    """A literal for the example.

    >>> python_string('bots/"nasa"/model')
    '"bots/\\\\"nasa\\\\"/model"'
    """
    return str(json.dumps(plain(text), ensure_ascii=False))
