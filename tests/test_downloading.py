"""The download stage: past the gate, page by page to disk, on after every kind of end, and never twice."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import full_disk
from huggingtweets import stages
from huggingtweets.botdir import BotDir, read_json
from huggingtweets.config import BotSettings
from huggingtweets.consent import Word
from huggingtweets.errors import (
    BotError,
    ConsentMissing,
    ConsentRefused,
    NetworkTrouble,
    SettingsError,
    SourceError,
    StorageError,
)
from huggingtweets.forgotten import note_forgotten
from huggingtweets.posts import Account, Post, read_posts
from huggingtweets.reports import Advanced, Event, Notice, StageDone
from huggingtweets.sources.base import Loss, Origin, Page, Tell, tell_nobody
from loopback import Reply, Request, Server, serve

MINE = Word(mine=True)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def post(number: int, handle: str = "bakery") -> Post:
    return Post(f"post number {number}", handle, id=str(1000 + number), created_at=BEGIN + timedelta(minutes=number))


@dataclass
class Network:
    """One account, newest first, three posts a page; `Source`."""

    posts: list[Post] = field(default_factory=lambda: [post(number) for number in range(10)])
    account: Account = field(default_factory=lambda: Account("bakery", "x", id="42", display_name="Bakery"))
    origin: Origin = field(default_factory=lambda: Origin("network"))
    typed: str = "bakery"
    trouble_at: int | None = None  # number of the page that can't be had
    trouble: Exception = field(default_factory=lambda: NetworkTrouble("The server is away."))
    losses: tuple[Loss, ...] = ()
    state: str = ""  # what a fingerprint depends on
    asked: list[str | None] = field(default_factory=list)
    known: list[Collection[str]] = field(default_factory=list)

    @property
    def spec(self) -> str:
        return f"x:{self.typed}"

    @property
    def handle(self) -> str:
        return self.typed

    def fingerprint(self) -> str:
        return f"{self.spec} {self.state}"

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        self.known.append(known)
        newest = list(reversed(self.posts))
        self.asked.append(cursor)
        if cursor is None:
            yield Page(account=self.account, avatar=PICTURE)
        start = int(cursor or 0)
        while True:
            if self.trouble_at is not None and start // 3 >= self.trouble_at:
                raise self.trouble
            page = [one for one in newest[start : start + 3] if one.id not in known]
            start += 3
            is_last = start >= len(newest)
            yield Page(tuple(page), losses=self.losses, cursor=None if is_last else str(start))
            if is_last:
                return
            self.asked.append(str(start))


@dataclass
class Table:
    """A file: no cursor, no ids, as often as one likes; `Source`."""

    texts: list[str]
    handle: str = "table"
    account: Account = field(default_factory=lambda: Account("table", "file"))
    trouble: Exception | None = None

    @property
    def spec(self) -> str:
        return f"file:/{self.handle}.csv"

    @property
    def origin(self) -> Origin:
        return Origin("file")

    def fingerprint(self) -> str:
        return repr(self.texts)

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        assert cursor is None
        yield Page(account=self.account)
        for number, text in enumerate(self.texts, 1):
            yield Page(
                (Post(text, self.handle),), fraction=number / len(self.texts), losses=(Loss("odd rows", 1, "7"),)
            )
        if self.trouble:
            raise self.trouble


@dataclass
class World:
    """A bot, and what was told of it."""

    bot: BotDir
    events: list[Event] = field(default_factory=list)

    def fetch(self, *sources: Any, word: Word = MINE, again: bool = False) -> list[str]:
        with self.bot.locked():
            stages.fetch(self.bot, sources, BotSettings(), self.events.append, word, again=again)
        return self.texts

    def renew(self, *sources: Any, word: Word = MINE) -> list[str]:
        """What an update adds."""
        before = set(self.texts)
        with self.bot.locked():
            news = stages.renew(self.bot, sources, self.events.append, word)
            stages.add_new(self.bot, news, sources, BotSettings(), self.events.append, word)
        return [text for text in self.texts if text not in before]

    @property
    def texts(self) -> list[str]:
        return [one.text for one in read_posts(self.bot.posts)]

    @property
    def accounts(self) -> list[Account]:
        return [Account.from_json(record) for record in read_json(self.bot.accounts)]

    @property
    def told(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))

    def left(self) -> set[str]:
        """Every file of the bot's folder; none where it is gone."""
        files = (path for path in self.bot.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.bot.path)) for path in files} - {".lock"}


ALL = [f"post number {number}" for number in range(10)]
FINISHED = {"posts.jsonl", "accounts.json", "bot.json", "avatars/bakery.png"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(BotDir(tmp_path / "bots" / "bakery"))


# --- a whole download --------------------------------------------------------------------------------------------


def test_posts_are_kept_oldest_first_with_their_account(world: World) -> None:
    assert world.fetch(Network()) == ALL
    assert world.left() == FINISHED
    (kept,) = world.accounts
    assert (kept.handle, kept.display_name, kept.avatar) == ("bakery", "Bakery", "bakery.png")
    assert (world.bot.path / "avatars/bakery.png").read_bytes() == PICTURE


def test_a_finished_download_is_never_fetched_again_unless_asked(world: World) -> None:
    network = Network()
    world.fetch(network)
    network.posts.append(post(10))
    assert world.fetch(network) == ALL
    assert network.asked == [None, "3", "6", "9"]
    assert isinstance(world.events[-1], StageDone)
    assert world.events[-1].skipped
    assert world.fetch(network, again=True) == [*ALL, "post number 10"]


def test_a_word_once_given_is_not_asked_for_again(world: World) -> None:
    world.fetch(Network(), word=Word(permission="Bakery said so"))
    assert world.fetch(Network(), word=Word(), again=True) == ALL
    assert world.accounts[0].consent is not None
    assert world.accounts[0].consent.why == "Bakery said so"
    assert world.bot.read_record()["word"]["permission"] == "Bakery said so"
    with pytest.raises(ConsentMissing):
        world.fetch(Network(account=Account("other", "x"), typed="other"), word=Word())


def test_progress_is_told_page_by_page(world: World) -> None:
    world.fetch(Network(), Table(["one two", "three four"]))
    steps = [event for event in world.events if isinstance(event, Advanced)]
    assert [step.values["posts"] for step in steps] == [0, 3, 6, 9, 10, 0, 1, 2]
    assert [step.total for step in steps] == [None] * 6 + [1.0] * 2
    assert steps[-1].done == 1.0


def test_what_was_lost_is_counted_and_told(world: World) -> None:
    world.fetch(Network(losses=(Loss("odd posts", 2, "number 7"),)))
    assert "8 odd posts (for instance number 7)." in world.told
    assert (world.bot.stage("download") or {})["losses"] == ["8 odd posts (for instance number 7)"]


def test_posts_go_under_the_account_s_own_name(world: World) -> None:
    world.fetch(Network(account=Account("Bakery", "x")))
    assert {one.account for one in read_posts(world.bot.posts)} == {"Bakery"}


def test_an_account_without_posts_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(SourceError, match="no posts to learn from"):
        world.fetch(Network(posts=[]))
    assert not world.bot.path.exists()


def test_a_face_is_drawn_where_there_is_none(world: World) -> None:
    world.fetch(Table(["one two"]))
    assert (world.bot.avatars / "table.png").read_bytes().startswith(PICTURE[:8])


def test_posts_of_one_moment_are_in_the_order_of_their_ids(world: World) -> None:
    moment = [Post(f"{number}", "bakery", id=number, created_at=BEGIN) for number in ("10", "9", "100")]
    assert world.fetch(Network(posts=moment)) == ["9", "10", "100"]


def test_posts_without_a_time_stay_in_the_order_they_came(world: World) -> None:
    assert world.fetch(Table(["b b", "a a", "b b"])) == ["b b", "a a", "b b"]


# --- the gate ----------------------------------------------------------------------------------------------------


def test_nothing_is_asked_of_a_network_without_a_word(world: World) -> None:
    network = Network()
    with pytest.raises(ConsentMissing):
        world.fetch(network, word=Word())
    assert network.asked == []
    assert not world.bot.path.exists()


@pytest.mark.parametrize("page", [0, 2])
def test_a_refusal_leaves_nothing_behind_even_half_way(world: World, page: int) -> None:
    network = Network()

    class Leaving(Network):
        def pages(self, *args: Any, **options: Any) -> Iterator[Page]:
            yield from list(network.pages())[:page]
            yield Page(account=Account("bakery", "x", signals={"suspended": "half-way"}))

    with pytest.raises(ConsentRefused, match="is suspended"):
        world.fetch(Leaving())
    assert not world.bot.path.exists()


def test_a_file_that_would_rather_not_be_found_needs_a_word(world: World) -> None:
    table = Table(["one two"], account=Account("table", "file", bio="#noindex"))
    with pytest.raises(ConsentMissing):
        world.fetch(table, word=Word())
    assert not world.bot.path.exists()
    world.fetch(table, word=Word(permission="she said so"))
    (kept,) = world.accounts
    assert kept.consent is not None
    assert (kept.consent.said, kept.consent.why, kept.consent.fetched_at) == ("permission", "she said so", None)
    assert kept.signals == {"noindex": "its profile says “#noindex”"}


def test_what_was_said_and_seen_is_kept(world: World) -> None:
    world.fetch(Network(account=Account("bakery", "x", signals={"bot": "its flag"})), word=Word(permission="by mail"))
    (kept,) = world.accounts
    assert kept.signals == {"bot": "its flag"}
    assert kept.consent is not None
    assert (kept.consent.said, kept.consent.why) == ("permission", "by mail")
    assert datetime.fromisoformat(kept.consent.fetched_at or "").tzinfo is not None
    assert "@bakery is a bot itself (its flag)." in world.told
    assert stages.word_of(world.bot) == Word(permission="by mail")


def test_a_file_s_consent_is_nobody_s(world: World) -> None:
    world.fetch(Table(["one two"]), word=Word())
    assert world.accounts[0].consent is None


def test_a_price_is_agreed_to_anew_each_time(world: World) -> None:
    paid = Network(origin=Origin("network", price="up to $16"))
    world.fetch(paid, word=Word(mine=True, price=True))
    assert stages.word_of(world.bot) == MINE
    with pytest.raises(ConsentMissing, match="--yes"):
        world.renew(paid, word=stages.word_of(world.bot))


@pytest.mark.parametrize("damage", [[], {"mine": True, "permission": 3}, "mine"])
def test_a_damaged_word_is_named(world: World, damage: object) -> None:
    world.bot.write_record(word=damage)
    if damage:
        with pytest.raises(BotError, match="consent is damaged"):
            stages.word_of(world.bot)
    else:
        assert stages.word_of(world.bot) == Word()


def test_one_account_under_two_names_is_no_cyborg(world: World) -> None:
    with pytest.raises(SettingsError, match="of one account"):
        world.fetch(Network(), Network(typed="bakery_by_number"))
    assert not world.bot.path.exists()


# --- ends on the way ---------------------------------------------------------------------------------------------


def test_an_interrupted_download_goes_on_from_the_last_page_it_wrote(world: World) -> None:
    network = Network(trouble_at=2)
    with pytest.raises(NetworkTrouble):
        world.fetch(network)
    network.trouble_at, network.asked = None, []
    assert world.fetch(network) == ALL
    assert network.asked == ["6", "9"]
    assert "Going on after 6 posts that are here already." in world.told
    assert world.left() == FINISHED


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_so_does_one_that_was_stopped(world: World, trouble: Exception) -> None:
    network = Network(trouble_at=1, trouble=trouble)
    with pytest.raises(type(trouble)):
        world.fetch(network)
    network.trouble_at = None
    assert world.fetch(network) == ALL
    assert network.asked == [None, "3", "3", "6", "9"]


def test_trouble_before_the_first_page_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(NetworkTrouble):
        world.fetch(Network(trouble_at=0))
    assert not world.bot.path.exists()


def test_a_file_is_read_from_its_beginning(world: World) -> None:
    table = Table(["one two", "three four"], trouble=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        world.fetch(table)
    table.trouble = None
    assert world.fetch(table) == ["one two", "three four"]
    assert "2 odd rows (for instance 7)." in world.told


def interrupted(world: World, **options: Any) -> Network:
    """Two pages of four are on disk."""
    network = Network(trouble_at=2, trouble=KeyboardInterrupt(), **options)
    with pytest.raises(KeyboardInterrupt):
        world.fetch(network)
    network.trouble_at, network.asked = None, []
    return network


@pytest.mark.parametrize(
    "tail", [b'{"text":"post numb', b"\x00" * 300, b'{"text":"post number 99","account":"bakery"}\n']
)
def test_a_page_that_was_cut_off_is_fetched_again(world: World, tail: bytes) -> None:
    network = interrupted(world)
    with (world.bot.partial / "0.jsonl").open("ab") as file:
        file.write(tail)
    assert world.fetch(network) == ALL
    assert network.asked == ["6", "9"]


def damaged_states() -> list[Any]:
    good = {"key": "", "cursor": "6", "done": False, "posts": 6, "bytes": 9, "account": None, "losses": []}
    changes: list[dict[str, Any]] = [
        {"bytes": -1},
        {"bytes": 10**9},
        {"bytes": "9"},
        {"posts": None},
        {"cursor": 6},
        {"done": "no"},
        {"losses": [{"what": "x"}]},
        {"losses": [{"what": "x", "count": "many", "example": ""}]},
        {"account": {"handle": 3}},
        {"account": []},
        {"surplus": 1},
    ]
    return [None, [], "", *({**good, **change} for change in changes)]


@pytest.mark.parametrize("state", damaged_states(), ids=lambda state: json.dumps(state)[-40:])
def test_a_damaged_record_of_a_download_begins_it_anew(world: World, state: Any) -> None:
    network = interrupted(world)
    file = world.bot.partial / "0.json"
    if isinstance(state, dict):
        state = {**state, "key": read_json(file)["key"]}
    file.write_text("{" if state is None else json.dumps(state))
    assert world.fetch(network) == ALL
    assert network.asked[0] is None
    assert world.left() == FINISHED


def test_posts_that_are_missing_begin_it_anew(world: World) -> None:
    network = interrupted(world)
    os.truncate(world.bot.partial / "0.jsonl", 10)
    assert world.fetch(network) == ALL
    assert network.asked[0] is None


def test_posts_that_are_damaged_are_named(world: World) -> None:
    network = interrupted(world)
    file = world.bot.partial / "0.jsonl"
    file.write_bytes(b"#" + file.read_bytes()[1:])
    with pytest.raises(BotError, match=r"0\.jsonl is damaged(.|\n)*delete"):
        world.fetch(network)
    file.unlink()
    assert world.fetch(network) == ALL


def test_the_cursor_of_another_download_is_not_gone_on_from(world: World) -> None:
    interrupted(world)
    other = Network(
        posts=[post(number, "other") for number in range(20, 24)], typed="other", account=Account("other", "x")
    )
    assert world.fetch(other) == [f"post number {number}" for number in range(20, 24)]
    assert other.asked == [None, "3"]
    assert world.left() == {"posts.jsonl", "accounts.json", "bot.json", "avatars/other.png"}


def test_sources_in_another_order_get_their_own_cursors(world: World) -> None:
    others = [post(number, "other") for number in range(50, 60)]
    other = Network(posts=others, typed="other", account=Account("other", "x"))
    one = interrupted(world)
    assert world.fetch(other, one) == [*ALL, *(f"post number {number}" for number in range(50, 60))]
    assert (one.asked[0], other.asked[0]) == (None, None)
    accounts = {read.text: read.account for read in read_posts(world.bot.posts)}
    assert (accounts["post number 1"], accounts["post number 51"]) == ("bakery", "other")


def test_the_second_account_s_trouble_costs_the_first_nothing(world: World) -> None:
    other = Network(posts=[post(20, "other")], typed="other", account=Account("other", "x"), trouble_at=0)
    network = Network()
    with pytest.raises(NetworkTrouble):
        world.fetch(network, other)
    other.trouble_at, network.asked = None, []
    assert len(world.fetch(network, other)) == 11
    assert network.asked == []


def test_another_word_is_the_one_that_is_kept(world: World) -> None:
    network = interrupted(world)
    world.fetch(network, word=Word(permission="by mail"))
    (kept,) = world.accounts
    assert kept.consent is not None
    assert (kept.consent.said, kept.consent.why) == ("permission", "by mail")
    assert kept.consent.fetched_at is not None


def test_an_account_forgotten_meanwhile_is_not_gone_on_with(world: World) -> None:
    network = interrupted(world)
    note_forgotten(world.bot.path.parent, ["x#42"])
    with pytest.raises(ConsentRefused, match="was forgotten"):
        world.fetch(network)
    assert network.asked == []
    assert not world.bot.path.exists()


def test_a_full_disk_is_named_and_costs_no_page(world: World) -> None:
    posts = [dataclasses.replace(post(number), text="long " * 2000 + str(number)) for number in range(20)]
    network = Network(posts=posts)
    with full_disk(100_000), pytest.raises(StorageError, match="disk is full"):
        world.fetch(network)
    network.asked = []
    assert len(world.fetch(network)) == 20
    assert network.asked == ["9", "12", "15", "18"]


def test_a_kill_between_the_last_steps_costs_no_request(world: World) -> None:
    network = Network(losses=(Loss("odd posts", 1),))

    def killed_when_accounts_are_in_place(event: Event) -> None:
        if isinstance(event, Notice) and "odd posts" in event.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), world.bot.locked():
        stages.fetch(world.bot, [network], BotSettings(), killed_when_accounts_are_in_place, MINE)
    assert world.left() > FINISHED - {"bot.json"}
    assert world.bot.stage("download") is None
    network.asked = []
    assert world.fetch(network) == ALL
    assert network.asked == []
    assert world.left() == FINISHED


def test_one_process_at_a_time(world: World) -> None:
    with world.bot.locked(), pytest.raises(BotError, match="another process"):
        world.fetch(Network())


# --- a process that is killed ------------------------------------------------------------------------------------

DID = "did:plc:inventedinventedinvente"


@dataclass
class Bluesky:
    """The least that a download needs, 10 posts a page; holds back the page that begins at `hold_at`."""

    hold_at: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def play(self, request: Request) -> Reply:
        if request.path.endswith("getProfile"):
            return Reply({"did": DID, "handle": "bakery.example", "displayName": "Bakery"})
        if request.path == f"/{DID}":
            service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.url}
            return Reply({"id": DID, "service": [service]})
        if not request.path.endswith("getAuthorFeed"):
            return Reply({"error": "RecordNotFound", "message": "Could not locate record"}, 400)
        start = int(request.query.get("cursor", "0"))
        if start == self.hold_at:
            self.held.set()
            return Reply(drop=True, delay_s=20.0)
        feed = [{"post": self.view(number)} for number in range(start, start + 10)]
        return Reply({"feed": feed, **({"cursor": str(start + 10)} if start < 30 else {})})

    @staticmethod
    def view(number: int) -> dict[str, Any]:
        record = {"text": f"post number {number}", "createdAt": "2025-02-03T08:15:00.000Z"}
        return {"uri": f"at://{DID}/app.bsky.feed.post/3l{99 - number:011}", "author": {"did": DID}, "record": record}


def command(server: Server, bots: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {"HUGGINGTWEETS_BLUESKY_API": server.url, "HUGGINGTWEETS_PLC": server.url}
    code = "from huggingtweets.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--bots-dir", str(bots)],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_process_costs_no_page(tmp_path: Path) -> None:
    bluesky = Bluesky(hold_at=20)
    download = ("download", "bluesky:bakery.example", "--mine")
    with serve(bluesky.play) as server:
        bluesky.url = server.url
        process = command(server, tmp_path, *download)
        assert bluesky.held.wait(60)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert (tmp_path / "bakery.example" / "download" / "0.jsonl").read_text().count("\n") == 20
        server.log.clear()
        bluesky.hold_at = None
        out, err = command(server, tmp_path, *download).communicate(timeout=240)
        pages = [request.query.get("cursor") for request in server.log if request.path.endswith("getAuthorFeed")]
    assert pages == ["20", "30"], err
    bot = BotDir(Path(out.strip()))
    assert sorted(one.text for one in read_posts(bot.posts)) == sorted(f"post number {number}" for number in range(40))
    assert "Going on after 20 posts" in err
    assert not bot.partial.exists()


def test_the_command_line_says_what_to_say(tmp_path: Path) -> None:
    with serve(Bluesky().play) as server:
        out, err = command(server, tmp_path / "bots", "download", "bluesky:bakery.example").communicate(timeout=240)
        assert server.paths == []
    assert "--mine if the account is yours" in err
    assert out == ""
    assert [*(tmp_path / "bots").iterdir()] == []


# --- what is new since -------------------------------------------------------------------------------------------


def test_an_update_fetches_only_what_is_new(world: World) -> None:
    network = Network()
    world.fetch(network)
    network.posts += [post(10), post(11)]
    assert world.renew(network) == ["post number 10", "post number 11"]
    assert network.known[-1] == {str(1000 + number) for number in range(10)}
    assert world.texts == [*ALL, "post number 10", "post number 11"]
    assert (world.bot.stage("download") or {})["posts"] == 12
    assert world.left() == FINISHED


def test_an_interrupted_update_goes_on(world: World) -> None:
    network = Network()
    world.fetch(network)
    network.posts += [post(number) for number in range(10, 20)]
    network.trouble_at, network.asked = 2, []
    with pytest.raises(NetworkTrouble):
        world.renew(network)
    network.trouble_at = None
    assert world.renew(network) == [f"post number {number}" for number in range(10, 20)]
    assert network.asked.count(None) == 1


def test_an_update_killed_after_the_posts_were_put_in_place_counts_them_once(world: World) -> None:
    network = Network()
    world.fetch(network)
    before = world.bot.record.read_bytes()
    network.posts.append(post(10))
    world.renew(network)
    world.bot.record.write_bytes(before)
    assert world.renew(network) == []
    assert len(world.texts) == 11
    assert (world.bot.stage("download") or {})["posts"] == 11


def test_nothing_new_changes_nothing(world: World) -> None:
    network = Network()
    world.fetch(network)
    before = {name: (world.bot.path / name).read_bytes() for name in FINISHED - {"bot.json"}}
    assert world.renew(network) == []
    assert {name: (world.bot.path / name).read_bytes() for name in before} == before
    assert world.left() == FINISHED


def test_a_file_that_grew_brings_its_new_rows(world: World) -> None:
    world.fetch(Table(["one two", "three four", "one two"]))
    assert world.renew(Table(["zero", "one two", "three four", "one two", "five six"])) == ["zero", "five six"]
    assert world.fetch(Table(["zero", "one two", "three four", "one two", "five six"]))[-1] == "five six"
    assert isinstance(world.events[-1], StageDone)
    assert world.events[-1].skipped, "the grown file counts as read"


def test_a_renamed_account_keeps_the_name_its_bot_knows(world: World) -> None:
    network = Network()
    world.fetch(network)
    network.account = dataclasses.replace(network.account, handle="new_bakery", display_name="New Bakery")
    network.posts = [dataclasses.replace(one, account="new_bakery") for one in [*network.posts, post(10)]]
    assert world.renew(network) == ["post number 10"]
    assert [(kept.handle, kept.display_name) for kept in world.accounts] == [("bakery", "New Bakery")]
    assert "@bakery is called @new_bakery now" in world.told
    assert {one.account for one in read_posts(world.bot.posts)} == {"bakery"}


def test_ids_of_one_account_say_nothing_of_another(world: World) -> None:
    one = Network(posts=[dataclasses.replace(post(n), id=str(n)) for n in range(4)])
    two = Network(
        posts=[dataclasses.replace(post(50 + n, "other"), id=str(n)) for n in range(2)],
        typed="Other",
        account=Account("other", "mastodon", id="42"),
    )
    world.fetch(one, two)
    two.posts += [dataclasses.replace(post(50 + n, "other"), id=str(n)) for n in range(2, 4)]
    assert world.renew(one, two) == ["post number 52", "post number 53"]
    assert (one.known[-1], two.known[-1]) == ({"0", "1", "2", "3"}, {"0", "1"})
    assert [kept.handle for kept in world.accounts] == ["bakery", "other"]


def test_a_new_face_takes_the_place_of_the_old_one(world: World) -> None:
    table = Table(["one two"])
    world.fetch(table)

    class WithFace(Table):
        def pages(self, *args: Any, **options: Any) -> Iterator[Page]:
            yield Page(account=self.account, avatar=b"\xff\xd8\xff" + bytes(9))
            yield from list(super().pages(*args, **options))[1:]

    world.renew(WithFace(["one two", "three four"]))
    assert [file.name for file in world.bot.avatars.iterdir()] == ["table.jpg"]
    assert world.accounts[0].avatar == "table.jpg"
