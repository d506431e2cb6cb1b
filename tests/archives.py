"""Builds X archives of all four eras out of the same posts, as zips, folders and parts.

    tweets = [tweet(1, "hello"), tweet(2, "@bob yes", reply_to=("77", "bob"))]
    path = Archive(tweets, era="grailbird").zip(tmp_path / "alice.zip")

What nobody may open holds the word `TRIPWIRE`.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from huggingtweets.posts import Post

ERAS = ("grailbird", "2019", "2020", "2022")
BEGINNING = datetime(2023, 3, 31, 21, 0, tzinfo=UTC)
TRIPWIRE = "TRIPWIRE: nobody may read this"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)

Tweet = dict[str, Any]


def time_at(minute: float) -> datetime:
    return BEGINNING + timedelta(minutes=minute)


def id_at(minute: float) -> str:
    """The id of what was posted then."""
    return str((int(time_at(minute).timestamp() * 1000) - 1_288_834_974_657) << 22)


def tweet(
    minute: float,
    text: str,
    *,
    links: Mapping[str, str] = {},
    media: str | None = None,
    reply_to: tuple[str, str] | None = None,  # whose: id and name
    reply_to_id: str | None = None,
    likes: int = 0,
    **changes: Any,
) -> Tweet:
    """As X has written it since 2022; `text` as X has it, with t.co and escapes. Numbers are strings."""
    made: Tweet = {
        "edit_info": {"initial": {"editTweetIds": [id_at(minute)], "editsRemaining": "5", "isEditEligible": True}},
        "retweeted": False,
        "source": '<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>',
        "entities": {
            "hashtags": [],
            "symbols": [],
            "user_mentions": [],
            "urls": [
                {"url": short, "expanded_url": long, "display_url": long[8:], "indices": _places(text, short)}
                for short, long in links.items()
            ],
        },
        "display_text_range": ["0", str(len(text))],
        "favorite_count": str(likes),
        "id_str": id_at(minute),
        "truncated": False,
        "retweet_count": "0",
        "id": id_at(minute),
        "possibly_sensitive": False,
        "created_at": time_at(minute).strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "favorited": False,
        "full_text": text,
        "lang": "en",
    }
    if media is not None:
        address = f"https://twitter.com/invented_bakery/status/{made['id']}/photo/1"
        photo = {"expanded_url": address, "indices": _places(text, media), "url": media, "id_str": "1", "type": "photo"}
        made["entities"]["media"] = [photo]
        made["extended_entities"] = {"media": [photo, {**photo, "id_str": "2"}]}
    if reply_to is not None:
        user, name = reply_to
        made |= {"in_reply_to_user_id": user, "in_reply_to_user_id_str": user, "in_reply_to_screen_name": name}
    if reply_to_id is not None:
        made |= {"in_reply_to_status_id": reply_to_id, "in_reply_to_status_id_str": reply_to_id}
    return {**made, **changes}


def _places(text: str, part: str) -> list[str]:
    at = text.index(part)
    return [str(at), str(at + len(part))]


def tweets_of(posts: Iterable[Post]) -> list[Tweet]:
    """Of posts as another source has them; where they have no time, a minute apart."""
    return [
        tweet(
            (post.created_at - BEGINNING).total_seconds() / 60 if post.created_at else minute,
            post.text,
            likes=post.likes or 0,
            reply_to=("77", "someone_else") if post.kind == "reply" else None,
        )
        for minute, post in enumerate(posts)
    ]


def edited(minute: float, *texts: str) -> list[Tweet]:
    """All versions of one post, a minute apart."""
    ids = [id_at(minute + later) for later in range(len(texts))]
    control = {"editTweetIds": ids, "editsRemaining": "4", "isEditEligible": True}
    first = tweet(minute, texts[0], edit_info={"initial": control})
    later = {"edit": {"initialTweetId": ids[0], "editControlInitial": control}}
    return [first] + [tweet(minute + n, text, edit_info=later) for n, text in enumerate(texts[1:], 1)]


def note(minute: float, text: str, links: Mapping[str, str] = {}, **changes: Any) -> dict[str, Any]:
    """A long post, with an id that is not its tweet's."""
    moment = time_at(minute).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    urls = []
    for short, long in links.items():
        start, end = _places(text, short)
        urls.append({"shortUrl": short, "expandedUrl": long, "displayUrl": long, "fromIndex": start, "toIndex": end})
    return {
        "noteTweetId": str(int(id_at(minute)) - 4_000_000),
        "updatedAt": moment,
        "lifecycle": {"value": "1", "name": "Active", "originalName": "Active", "annotations": {}},
        "createdAt": moment,
        "core": {"styletags": [], "urls": urls, "text": text, "mentions": [], "cashtags": [], "hashtags": []},
        **changes,
    }


@dataclass(frozen=True)
class Archive:
    """What is in an archive, before it is packed."""

    tweets: Sequence[Tweet]
    era: str = "2022"
    files: int = 1  # over how many the tweets are spread, since 2019
    notes: Sequence[Mapping[str, Any]] = ()
    community: Sequence[Tweet] = ()
    circle: Sequence[Tweet] = ()
    handle: str | None = "invented_bakery"  # None: the archive does not say whose it is
    account_id: str = "42"
    name: str = "Invented Bakery 🥐"
    bio: str = "Bread & more."
    avatar: bytes | None = PNG
    manifest: bool = True
    manifest_changes: Mapping[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, bytes]:
        """Name to bytes, in the order in which X packs them."""
        if self.era == "grailbird":
            return self._grailbird()
        folder = "" if self.era == "2019" else "data/"
        members = {f"{folder}{name}": data for name, data in self._posts().items()}
        tripwire = [tweet(0, TRIPWIRE)]
        private = {
            "direct-messages.js": script("YTD.direct_messages.part0", [{"dmConversation": {"messages": [TRIPWIRE]}}]),
            "like.js": script("YTD.like.part0", [{"like": {"tweetId": "1", "fullText": TRIPWIRE}}]),
            "deleted-tweets.js": script("YTD.deleted_tweets.part0", _wrapped(tripwire)),
        }
        members |= {f"{folder}{name}": data for name, data in private.items()}
        if self.handle is not None:
            members |= {f"{folder}{name}": data for name, data in self._facts().items()}
        if self.era == "2022":
            members |= self._newest()
        if self.manifest and self.handle is not None and self.era != "2019":
            members["data/manifest.js"] = script("__THAR_CONFIG", self._manifest(members))
        return members

    def _posts(self) -> dict[str, bytes]:
        word = "tweets" if self.era == "2022" else "tweet"
        tweets = list(self.tweets) if self.era == "2022" else [_without(one, "edit_info") for one in self.tweets]
        found = {}
        for number in range(self.files):
            elements: Sequence[Any] = tweets[number :: self.files]
            name = f"{word}.js" if number == 0 else f"{word}-part{number}.js"
            found[name] = script(f"YTD.{word}.part{number}", elements if self.era == "2019" else _wrapped(elements))
        return found

    def _facts(self) -> dict[str, bytes]:
        account = {
            "email": "nobody@example.org",
            "username": self.handle,
            "accountId": self.account_id,
            "accountDisplayName": self.name,
        }
        profile = {
            "description": {"bio": self.bio, "website": "", "location": "Nowhere"},
            "avatarMediaUrl": "https://pbs.twimg.com/profile_images/1/AbCdEf.jpg",
        }
        found = {
            "account.js": script("YTD.account.part0", [{"account": account}]),
            "profile.js": script("YTD.profile.part0", [{"profile": profile}]),
            f"profile_media/{self.account_id}-1500": b"\x89PNG\r\n\x1a\n a header, not the face",
        }
        if self.avatar is not None:
            found[f"profile_media/{self.account_id}-AbCdEf.jpg"] = self.avatar
        return found

    def _newest(self) -> dict[str, bytes]:
        return {
            "data/community-tweet.js": script("YTD.community_tweet.part0", _wrapped(self.community)),
            "data/twitter-circle-tweet.js": script("YTD.twitter_circle_tweet.part0", _wrapped(self.circle)),
            "data/note-tweet.js": script("YTD.note_tweet.part0", [{"noteTweet": dict(one)} for one in self.notes]),
            "assets/js/tweets.js": f"console.log('{TRIPWIRE}')".encode(),
            "data/tweets_media/1-AbCdEf.jpg": TRIPWIRE.encode(),
        }

    def _manifest(self, members: Iterable[str]) -> dict[str, Any]:
        counts = {"note-tweet.js": self.notes, "community-tweet.js": self.community, "account.js": [1]}
        counts["twitter-circle-tweet.js"] = self.circle
        kinds: dict[str, list[dict[str, str]]] = defaultdict(list)
        for name in members:
            short = name.removeprefix("data/")
            if short.startswith("tweet"):
                number = int(short.partition("part")[2].removesuffix(".js") or 0)
                kinds["tweets"].append({"fileName": name, "count": str(len(self.tweets[number :: self.files]))})
            elif short in counts:
                kinds[short].append({"fileName": name, "count": str(len(counts[short]))})
        return {
            "userInfo": {"accountId": self.account_id, "userName": self.handle, "displayName": self.name},
            "archiveInfo": {"generationDate": "2025-02-14T00:00:00.000Z", "isPartialArchive": False},
            "dataTypes": {kind: {"mediaDirectory": "data/x_media", "files": files} for kind, files in kinds.items()},
            **self.manifest_changes,
        }

    def _grailbird(self) -> dict[str, bytes]:
        months: dict[str, list[Tweet]] = defaultdict(list)
        for one in self.tweets:
            moment = datetime.strptime(one["created_at"], "%a %b %d %H:%M:%S +0000 %Y")
            months[f"{moment:%Y_%m}"].append(self._as_grailbird(one, moment))
        members = {"tweets.csv": f'"tweet_id","text"\n"1","{TRIPWIRE}"\n'.encode()}
        for month, tweets in months.items():
            members[f"data/js/tweets/{month}.js"] = script(f"Grailbird.data.tweets_{month}", tweets, window=False)
        if self.handle is not None:
            details = {"screen_name": self.handle, "full_name": self.name, "bio": self.bio, "id": self.account_id}
            index = [
                {"file_name": f"data/js/tweets/{month}.js", "var_name": f"tweets_{month}", "tweet_count": len(tweets)}
                for month, tweets in months.items()
            ]
            members["data/js/user_details.js"] = script("var user_details", details, window=False)
            members["data/js/tweet_index.js"] = script("var tweet_index", index, window=False)
        return members

    def _as_grailbird(self, one: Tweet, moment: datetime) -> Tweet:
        """Numbers are numbers, times are written otherwise, and there are no likes and languages yet."""
        names = ("edit_info", "full_text", "favorite_count", "lang", "display_text_range", "extended_entities")
        old: Tweet = {name: value for name, value in one.items() if name not in names}
        for name in ("id", "in_reply_to_user_id", "in_reply_to_status_id"):
            if name in old:
                old[name] = int(old[name])
        old |= {"text": one["full_text"], "created_at": f"{moment:%Y-%m-%d %H:%M:%S} +0000"}
        old["user"] = {"name": self.name, "screen_name": self.handle, "id": 42, "id_str": "42", "protected": False}
        if one["full_text"].startswith("RT @"):
            old["retweeted_status"] = {"text": "all of it", "user": {"screen_name": "someone_else"}}
        return old

    def folder(self, path: Path) -> Path:
        return write_folder(path, self.members())

    def zip(self, path: Path, prefix: str = "") -> Path:
        return write_zip(path, {f"{prefix}{name}": data for name, data in self.members().items()})

    def zips(self, folder: Path, count: int) -> list[Path]:
        """Split into so many, the files of posts each into another; only the first says whose it is."""
        folder.mkdir(exist_ok=True)
        members = self.members()
        posts = [name for name in members if name.startswith("data/tweets") and name.endswith(".js")]
        assert len(posts) >= count
        homes = {name: number % count for number, name in enumerate(posts)}
        parts = [{name: data for name, data in members.items() if homes.get(name, 0) == n} for n in range(count)]
        return [write_zip(folder / f"twitter-part{n + 1}.zip", part) for n, part in enumerate(parts)]

    def with_changes(self, **changes: Any) -> Archive:
        return dataclasses.replace(self, **changes)


def _wrapped(tweets: Iterable[Tweet]) -> list[dict[str, Tweet]]:
    return [{"tweet": one} for one in tweets]


def _without(one: Tweet, name: str) -> Tweet:
    return {key: value for key, value in one.items() if key != name}


def script(name: str, value: object, *, window: bool = True) -> bytes:
    """An assignment, pretty as X prints it."""
    text = json.dumps(value, indent=2, ensure_ascii=False, separators=(",", " : "))
    return f"{'window.' if window else ''}{name} = {text}".encode()


def write_zip(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, data in members.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def mark_encrypted(path: Path, *names: str) -> Path:
    """Sets the flag of encryption on members: whoever opens one, fails."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offsets = {info.filename: info.header_offset for info in archive.infolist()}
    for name in names:
        data[offsets[name] + 6] |= 1
        entry = data.index(b"PK\x01\x02")
        while data[entry + 46 : entry + 46 + len(name)] != name.encode():
            entry = data.index(b"PK\x01\x02", entry + 4)
        data[entry + 8] |= 1
    path.write_bytes(bytes(data))
    return path
