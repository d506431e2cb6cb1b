"""Posts in, clean text out, and whether it teaches anything. Pure functions; the original's semantics unless said so.

What the original does, and so do we: retweets go first; then `&amp; &lt; &gt;` are unescaped, every `http:` or
`https:` link goes together with the space beside it, runs of white space become one space; a post is *short* when
fewer than three of its words are free of "http", "@" and "#".

Ours differs by choice, and `DatasetSettings.original()` takes each choice back:
- every HTML entity is unescaped, once, and only where the source escapes;
- retweets typed by hand (`RT @name: …`, `"@name: …"`) are other people's words and count as retweets;
- newlines can be kept (off by default, as in the original).

Not covered: what is left out on request (see `curation`), personal data (see `privacy`), and duplicates, which need
the other posts (see `dataset`).
"""

from __future__ import annotations

import re

from huggingtweets.config import MIN_WORDS, DatasetSettings
from huggingtweets.escaping import unescaped
from huggingtweets.posts import Post

# In this order, once for each scheme: a link takes the space before it, else the space after it, else a newline before.
_LINKS = {
    scheme: [re.compile(pattern) for pattern in (rf" {scheme}\S+", rf"{scheme}\S+ ", rf"\n?{scheme}\S+")]
    for scheme in ("http:", "https:")
}
_HANDMADE_RETWEET = re.compile(r"""\s*(?:RT @\w{1,15}|["“]@\w{1,15}:?\s)""")


def clean(post: Post, settings: DatasetSettings) -> str:
    """The text to learn from.

    >>> clean(Post("Fish &amp; chips\\n at https://t.co/x today", "a"), DatasetSettings())
    'Fish & chips at today'
    """
    text = unescape(post.text, settings) if post.html_escaped else post.text
    text = remove_links(text)
    return collapse_lines(text) if settings.keep_newlines else " ".join(text.split())


def unescape(text: str, settings: DatasetSettings) -> str:
    if settings.unescape_all_html:
        return unescaped(text)
    return text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")


def remove_links(text: str) -> str:
    """
    >>> remove_links("Look: https://t.co/a and (http://t.co/b) there")
    'Look: and (there'
    """
    for scheme, links in _LINKS.items():
        for link in links:
            if scheme not in text:
                break
            text = link.sub("", text)
    return text


def collapse_lines(text: str) -> str:
    """Each line's white space collapsed, at most one blank line in a row.

    >>> collapse_lines(" one  two \\n\\n\\n three ")
    'one two\\n\\nthree'
    """
    lines = "\n".join(" ".join(line.split()) for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def is_retweet(post: Post, settings: DatasetSettings) -> bool:
    """Whether the words are another person's."""
    return post.kind == "repost" or (settings.drop_handmade_retweets and _HANDMADE_RETWEET.match(post.text) is not None)


def is_short(text: str) -> bool:
    """Whether a clean text teaches nothing."""
    return plain_words(text, MIN_WORDS) < MIN_WORDS


def plain_words(text: str, most: int | None = None) -> int:
    """How many words are free of links, mentions and hashtags; with `most`, counts no further.

    >>> plain_words("Thanks @bob for the #MondayMood")
    3
    """
    found = 0
    for word in text.lower().split():
        if "@" not in word and "#" not in word and "http" not in word:
            found += 1
            if found == most:
                break
    return found
