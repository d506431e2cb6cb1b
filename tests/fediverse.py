"""Posts of an invented account, rendered as its server's API gives them and as its archive holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

SERVER = "https://social.example"
ACTOR = f"{SERVER}/users/bakery"
ACCOUNT_ID = "109"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
FOLLOWERS = f"{ACTOR}/followers"
OTHER = "https://other.example/users/someone"


@dataclass(frozen=True)
class Writing:
    """One post, as its author thinks of it."""

    number: int
    content: str = ""
    visibility: str = "public"
    language: str | None = "en"
    answers: int | str | None = None  # the number of an own post, or another's address
    warning: str = ""
    emoji: tuple[str, ...] = ()
    likes: int = 0
    quotes: str | None = None
    options: tuple[str, ...] = ()  # of a poll
    edited: bool = False
    boost: bool = False
    pictures: int = 0

    @property
    def id(self) -> str:
        return str(113_900_000_000_000_000 + self.number)

    @property
    def address(self) -> str:
        return f"{ACTOR}/statuses/{self.id}"

    @property
    def second(self) -> str:
        return f"2025-02-{1 + self.number // 1440 % 28:02}T{self.number // 60 % 24:02}:{self.number % 60:02}:07"

    @property
    def html(self) -> str:
        return self.content or f"<p>post number {self.number}</p>"

    @property
    def _answered(self) -> str | None:
        return Writing(self.answers).address if isinstance(self.answers, int) else self.answers

    def status(self) -> dict[str, Any]:
        """As `/api/v1/accounts/:id/statuses` gives it."""
        is_own = isinstance(self.answers, int)
        answered = Writing(int(self.answers)).id if is_own and self.answers is not None else "77"
        return {
            "id": self.id,
            "created_at": f"{self.second}.{self.number % 1000:03}Z",
            "in_reply_to_id": None if self.answers is None else answered,
            "in_reply_to_account_id": None if self.answers is None else ACCOUNT_ID if is_own else "7",
            "sensitive": bool(self.warning),
            "spoiler_text": self.warning,
            "visibility": self.visibility,
            "language": self.language,
            "uri": self.address,
            "url": f"{SERVER}/@bakery/{self.id}",
            "favourites_count": self.likes,
            "edited_at": f"{self.second}.000Z" if self.edited else None,
            "content": self.html,
            "reblog": {"id": "99", "content": self.html} if self.boost else None,
            "account": {"id": ACCOUNT_ID, "username": "bakery", "acct": "bakery"},
            "media_attachments": [{"id": str(number), "type": "image"} for number in range(self.pictures)],
            "emojis": [{"shortcode": name, "url": "https://files.example/a.png"} for name in self.emoji],
            "poll": {"options": [{"title": title} for title in self.options]} if self.options else None,
            "quote": {"state": "accepted", "quoted_status": {"id": "1"}} if self.quotes else None,
        }

    def activity(self) -> dict[str, Any]:
        """As an entry of `outbox.json`."""
        to, cc = self._readers
        envelope = {
            "id": f"{self.address}/activity",
            "type": "Announce" if self.boost else "Create",
            "actor": ACTOR,
            "published": f"{self.second}Z",
            "to": to,
            "cc": cc,
        }
        if self.boost:
            return {**envelope, "object": f"{OTHER}/statuses/77"}
        return {**envelope, "object": self._note(to, cc), "signature": {"type": "RsaSignature2017"}}

    def _note(self, to: list[str], cc: list[str]) -> dict[str, Any]:
        quote = {"quote": self.quotes, "quoteUri": self.quotes, "_misskey_quote": self.quotes} if self.quotes else {}
        options = [{"type": "Note", "name": title, "replies": {"totalItems": 3}} for title in self.options]
        return {
            "id": self.address,
            "type": "Question" if self.options else "Note",
            "summary": self.warning or None,
            "inReplyTo": self._answered,
            "published": f"{self.second}Z",
            **({"updated": f"{self.second}Z"} if self.edited else {}),
            "url": f"{SERVER}/@bakery/{self.id}",
            "attributedTo": ACTOR,
            "to": to,
            "cc": cc,
            "sensitive": bool(self.warning),
            "content": self.html,
            **({"contentMap": {self.language: self.html}} if self.language else {}),
            "attachment": [{"type": "Document", "url": f"/media/{number}.png"} for number in range(self.pictures)],
            "tag": [{"type": "Emoji", "name": f":{name}:"} for name in self.emoji],
            "likes": {"type": "Collection", "totalItems": self.likes},
            **quote,
            **({"oneOf": options} if options else {}),
        }

    @property
    def _readers(self) -> tuple[list[str], list[str]]:
        return {
            "public": ([PUBLIC], [FOLLOWERS]),
            "unlisted": ([FOLLOWERS], [PUBLIC]),
            "private": ([FOLLOWERS], []),
            "direct": ([OTHER], []),
        }[self.visibility]


MENTION = (
    f'<span class="h-card" translate="no"><a href="{OTHER}" class="u-url mention">@<span>someone</span></a></span>'
)
LINK = (
    '<a href="https://example.org/a/rather/long/path/to/a/recipe" target="_blank" rel="nofollow noopener noreferrer" '
    'translate="no"><span class="invisible">https://</span><span class="ellipsis">example.org/a/rather/long/path/'
    '</span><span class="invisible">to/a/recipe</span></a>'
)

EVERYTHING = (
    Writing(1, "<p>Bread &amp; butter<br />today</p><p>and tomorrow</p>", likes=3),
    Writing(2, f"<p>{MENTION} yes, until noon</p>", answers=f"{OTHER}/statuses/5"),
    Writing(3, "<p>and salt</p>", answers=1),
    Writing(4, f"<p>Recipe: {LINK}</p>", visibility="unlisted", language=None),
    Writing(5, '<p class="quote-inline">RE: <a href="https://a.example">x</a></p><p>This one</p>', quotes=OTHER),
    Writing(6, "<p>:bread: more of it :bread:</p>", warning="food :bread: &amp; <3", emoji=("bread",)),
    Writing(7, "<p>Rye or wheat?</p>", options=("rye", "wheat"), language="pt-BR"),
    Writing(8, "<p>corrected</p>", edited=True),
    Writing(9, "<p>for followers</p>", visibility="private"),
    Writing(10, "<p>for you</p>", visibility="direct"),
    Writing(11, "<p>others' words</p>", boost=True),
    Writing(12, " ", pictures=2),
    Writing(13, "<p>詳細は明日</p>", language="ja", likes=1),
    Writing(14, "<p>quoting in an answer</p>", answers=3, quotes=OTHER),
    *(Writing(number) for number in range(20, 130)),
)

ACTOR_FILE: dict[str, Any] = {
    "id": ACTOR,
    "type": "Person",
    "outbox": "outbox.json",
    "likes": "likes.json",
    "bookmarks": "bookmarks.json",
    "preferredUsername": "bakery",
    "name": "Invented Bakery :bread:",
    "summary": "<p>Made-up bio</p>",
    "url": f"{SERVER}/@bakery",
    "manuallyApprovesFollowers": False,
    "discoverable": True,
    "indexable": True,
    "published": "2022-11-01T00:00:00Z",
    "tag": [],
    "attachment": [{"type": "PropertyValue", "name": "Shop", "value": LINK}],
    "icon": {"type": "Image", "mediaType": "image/png", "url": "avatar.png"},
}
ACCOUNT: dict[str, Any] = {
    "id": ACCOUNT_ID,
    "username": "bakery",
    "acct": "bakery",
    "display_name": "Invented Bakery :bread:",
    "locked": False,
    "bot": False,
    "indexable": True,
    "noindex": False,
    "note": "<p>Made-up bio</p>",
    "uri": ACTOR,
    "url": f"{SERVER}/@bakery",
    "emojis": [],
    "fields": [{"name": "Shop", "value": LINK, "verified_at": None}],
}


def outbox_of(writings: tuple[Writing, ...] | list[Writing]) -> dict[str, Any]:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": "outbox.json",
        "type": "OrderedCollection",
        "totalItems": len(writings),
        "orderedItems": [writing.activity() for writing in writings],
    }


def shaped(names: Sequence[str], texts: Sequence[str]) -> st.SearchStrategy[Any]:
    """JSON of no meaning, made of the right names and of texts that mean something elsewhere."""
    leaves = st.sampled_from([*texts, "\ud800", "<p>a</p>", ":b:", "http://[", 3, 0.5, None, True]) | st.text(
        max_size=9
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4),
        max_leaves=8,
    )
