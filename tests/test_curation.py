"""What is left out or joined on request: every reason, threads in any order, and the options that ask for it."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from conftest import invented_posts
from huggingtweets.config import BotSettings, DatasetSettings, TrainingSettings
from huggingtweets.curation import (
    DATES,
    LANGUAGES,
    LIKES,
    LONGEST_THREAD,
    REPLIES,
    UNDATED,
    WARNED,
    Part,
    conversations,
    finished,
    join_threads,
    part_of,
    why_left_out,
)
from huggingtweets.dataset import curate
from huggingtweets.errors import SettingsError
from huggingtweets.posts import Post

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def reason(post: Post, **chosen: object) -> str | None:
    return why_left_out(post, post.text, DatasetSettings(**chosen))  # type: ignore[arg-type]


def reply(text: str, id: str, to: str | None = None, *, own: bool = False, **facts: object) -> Post:
    return Post(text, "a", id, kind="reply", reply_to=to, self_reply=own, **facts)  # type: ignore[arg-type]


# --- dates, likes, languages, warnings


@pytest.mark.parametrize(
    ("moment", "limits", "expected"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), {"since": "2024-01-01"}, None),
        (datetime(2023, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), {"since": "2024-01-01"}, DATES),
        (datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC), {"until": "2024-01-01"}, None),
        (datetime(2024, 1, 1, tzinfo=UTC), {"until": "2024-01-01"}, DATES),
        (datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), {"since": "2024-01-01"}, DATES),
        (datetime(2024, 1, 1), {"since": "2024-01-01", "until": "2024-01-02"}, None),  # no zone: UTC
        (datetime(1, 1, 1, tzinfo=UTC), {"since": "2024-01-01"}, DATES),
        (None, {"since": "2024-01-01"}, UNDATED),
        (None, {"until": "2024-01-01"}, UNDATED),
        (None, {}, None),
    ],
)
def test_days_are_in_utc_and_until_is_not_included(
    moment: datetime | None, limits: dict[str, str], expected: str | None
) -> None:
    assert reason(Post("hello", "a", created_at=moment), **limits) == expected


@pytest.mark.parametrize(("likes", "expected"), [(0, LIKES), (9, LIKES), (10, None), (None, None)])
def test_few_likes_are_left_out_and_unknown_ones_are_not(likes: int | None, expected: str | None) -> None:
    assert reason(Post("hello", "a", likes=likes), min_likes=10) == expected


def test_posts_that_do_not_say_their_likes_are_warned_about() -> None:
    warnings = curate([Post("one two three", "a"), Post("one two four", "a", likes=3)], DatasetSettings(min_likes=2))
    assert warnings.warnings == ["@a: 1 post doesn't say how many likes it has; --min-likes does not leave it out."]


@pytest.mark.parametrize(
    ("text", "said", "wanted", "expected"),
    [
        ("Das Wetter ist heute herrlich und wir gehen spazieren", None, ("de",), None),
        ("Das Wetter ist heute herrlich und wir gehen spazieren", "en", ("en",), LANGUAGES),
        ("Das Wetter ist heute herrlich und wir gehen spazieren", "en", ("en", "de"), None),
        ("Moin", "de", ("en",), LANGUAGES),
        ("Vi skal på tur i skogen i dag, og det blir veldig fint", "nb", ("no",), None),
        ("Vi skal på tur i skogen i dag, og det blir veldig fint", None, ("nb",), None),
        ("@bob #wow 🚀", None, ("en",), None),
        ("@bob #wow 🚀", "und", ("en",), None),
    ],
)
def test_other_languages_are_left_out_and_unknown_ones_are_not(
    text: str, said: str | None, wanted: tuple[str, ...], expected: str | None
) -> None:
    assert reason(Post(text, "a", lang=said), languages=wanted) == expected


@pytest.mark.parametrize(
    ("warning", "skipped", "prepended"),
    [
        ("food", WARNED, "[food] I baked bread"),
        ("  two\n lines ", WARNED, "[two lines] I baked bread"),
        ("see https://example.org/why please", WARNED, "[see please] I baked bread"),
        (" ", None, "I baked bread"),
        ("", None, "I baked bread"),
        (None, None, "I baked bread"),
    ],
)
def test_a_content_warning_is_skipped_put_in_front_or_left_out(
    warning: str | None, skipped: str | None, prepended: str
) -> None:
    post = Post("I baked bread", "a", warning=warning)
    assert reason(post) == skipped
    for choice, text in (("prepend", prepended), ("omit", "I baked bread")):
        settings = DatasetSettings(content_warnings=choice)  # type: ignore[arg-type]
        assert why_left_out(post, post.text, settings) is None
        assert finished(part_of(post, settings), settings)[0] == text


def test_personal_data_goes_from_a_warning_too() -> None:
    settings = DatasetSettings(content_warnings="prepend")
    part = part_of(Post("I baked bread", "a", warning="mail me@example.org"), settings)
    assert finished(part, settings) == ("[mail [email]] I baked bread", True)


# --- replies


def test_replies_are_kept_stripped_or_dropped() -> None:
    post = reply("@bob @eve so true indeed", "1", "99")
    for choice, text, why in (("keep", post.text, None), ("strip", "so true indeed", None), ("drop", None, REPLIES)):
        settings = DatasetSettings(replies=choice)  # type: ignore[arg-type]
        curated = curate([post], settings)
        assert [kept.text for kept in curated.kept["a"]] == ([text] if text else [])
        assert dict(curated.counts["a"].left_out) == ({why: 1} if why else {})


def test_only_answers_lose_the_mentions_in_front() -> None:
    post = Post("@bob is the best baker in town", "a")
    assert part_of(post, DatasetSettings(replies="strip")).text == post.text


def test_a_thread_is_no_reply_unless_it_began_as_one() -> None:
    posts = [
        Post("my own words", "a", "1"),
        reply("my own words go on", "2", "1", own=True),
        reply("and on", "3", "2", own=True),
        reply("@bob no", "4", "99"),
        reply("@bob and never", "5", "4", own=True),
        reply("@bob ever", "6", "5", own=True),
        reply("an answer to what is gone", "7", "70", own=True),
        reply("a ring", "8", "9", own=True),
        reply("of two", "9", "8", own=True),
        reply("no id of its parent", "10", None, own=True),
    ]
    for seed in range(20):
        shuffled = random.Random(seed).sample(posts, len(posts))
        assert {post.id for post, is_talk in conversations(shuffled) if is_talk} == {"4", "5", "6"}


def test_an_export_that_names_only_the_post_that_was_answered_tells_threads_from_replies_too() -> None:
    posts = [
        Post("my own words", "a", "1"),
        reply("my own words go on", "2", "1"),
        reply("@bob no", "4", "99"),
        reply("@bob and never", "5", "4"),
        dataclasses.replace(reply("another account's answer", "6", "1"), account="b"),
    ]
    for seed in range(20):
        shuffled = random.Random(seed).sample(posts, len(posts))
        assert {post.id for post, is_talk in conversations(shuffled) if is_talk} == {"4", "5", "6"}


def test_a_very_long_talk_takes_no_longer_than_its_length() -> None:
    own = [reply("word", str(n), str(n - 1), own=True) for n in range(1, 50_000)]
    posts = [*reversed(own), reply("@bob first", "0")]
    assert all(is_talk for _, is_talk in conversations(posts))


# --- threads


def joined(*parts: Part) -> list[str]:
    return [part.text for part in join_threads(parts, " ")]


@pytest.mark.parametrize(
    "ids",
    [
        ("1000000000000000001", "1000000000000000002", "1000000000000000003"),
        tuple(f"at://did:plc:invented/app.bsky.feed.post/3l00000000{n}2a" for n in "abc"),
        tuple(f"https://social.example/users/baker/statuses/11390000000000000{n}" for n in "123"),
        ("01J0000000000000000000000A", "01J0000000000000000000000B", "01J0000000000000000000000C"),
    ],
    ids=["X", "Bluesky", "Mastodon", "GoToSocial"],
)
def test_a_thread_becomes_one_text_whatever_its_ids_look_like(ids: tuple[str, ...]) -> None:
    one, two, three = ids
    parts = [Part("a", "three", three, two), Part("a", "@a two", two, one), Part("b", "else", one), Part("a", "1", one)]
    assert joined(*parts) == ["else", "1 two three"]


def test_a_second_answer_begins_a_text_of_its_own_and_so_does_what_answers_it() -> None:
    late, early = NOON + timedelta(hours=1), NOON
    parts = [
        Part("a", "root", "1"),
        Part("a", "late", "2", "1", late),
        Part("a", "early", "3", "1", early),
        Part("a", "after late", "4", "2"),
        Part("a", "after early", "5", "3"),
    ]
    assert joined(*parts) == ["root early after early", "late after late"]


@pytest.mark.parametrize(("first", "second"), [("99", "100"), ("3laaa", "3laab")])
def test_of_answers_of_the_same_moment_the_smaller_id_is_the_earlier(first: str, second: str) -> None:
    for moment in (NOON, None):
        parts = [Part("a", "root", "1"), Part("a", "B", second, "1", moment), Part("a", "A", first, "1", moment)]
        assert joined(*parts) == ["root A", "B"]


def test_what_answers_a_missing_post_stands_alone() -> None:
    assert joined(Part("a", "one", "1"), Part("a", "three", "3", "2"), Part("a", "four", "4", "3")) == [
        "one",
        "three four",
    ]


def test_a_ring_is_several_texts_and_a_post_that_answers_itself_is_one() -> None:
    ring = [Part("a", "one", "1", "2"), Part("a", "two", "2", "1")]
    assert joined(*ring) == ["one", "two"]
    assert joined(Part("a", "self", "1", "1"), Part("a", "next", "2", "1")) == ["self next"]


def test_posts_of_other_accounts_with_the_same_id_are_others() -> None:
    assert joined(Part("a", "mine", "1"), Part("b", "yours", "2", "1")) == ["mine", "yours"]


def test_a_repeated_id_comes_last_and_joins_nothing() -> None:
    parts = [Part("a", "one", "1"), Part("a", "one again", "1"), Part("a", "two", "2", "1")]
    assert joined(*parts) == ["one two", "one again"]


def test_a_thread_goes_on_in_another_text_where_training_would_cut_it() -> None:
    words = "w" * 999
    thread = [Part("a", words, str(n), str(n - 1)) for n in range(10)]
    texts = list(join_threads(thread, " "))
    assert [len(part.joined) for part in texts] == [2, 2, 2, 0]
    assert all(len(part.text) <= LONGEST_THREAD for part in texts)
    assert "".join(part.text for part in texts).count("w") == 9_990
    long = [Part("a", "w" * 9_000, "1"), Part("a", "short", "2", "1")]
    assert joined(*long) == ["w" * 9_000, "short"]


def test_a_warning_is_said_again_only_where_it_changes() -> None:
    parts = [
        Part("a", str(n), str(n), str(n - 1), warning=said) for n, said in enumerate(["food", "food", None, "war"])
    ]
    (part,) = join_threads(parts, " ")
    assert finished(part, DatasetSettings())[0] == "[food] 0 1 2 [war] 3"


def test_a_thread_joins_over_what_stands_between_and_not_over_what_was_left_out() -> None:
    posts = [
        Post("The first word of it", "a", "1", likes=9),
        Post("RT @bob: words of another", "a", "2", kind="repost"),
        reply("@a the second word of it", "3", "1", own=True, likes=9),
        reply("the third word of it", "4", "3", own=True, likes=0),
        reply("the fourth word of it", "5", "4", own=True, likes=9),
    ]
    curated = curate(posts, DatasetSettings(join_threads=True, min_likes=5))
    assert [text.text for text in curated.kept["a"]] == [
        "The first word of it the second word of it",
        "the fourth word of it",
    ]
    assert str(curated.counts["a"]) == (
        "downloaded 5 = retweets 1 + too few likes 1 + joined 1 + short 0 + duplicates 0 + kept 2"
    )
    lines = curate(posts, DatasetSettings(join_threads=True, keep_newlines=True)).kept["a"]
    assert lines[0].text.count("\n") == 3


@given(
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, 12), min_size=n, max_size=n)))
)
def test_threads_come_out_the_same_in_whatever_order_posts_come_in(case: tuple[int, list[int]]) -> None:
    count, parents = case
    parts = [Part("a", f"<{n}>", str(n), str(parents[n])) for n in range(count)]
    texts = sorted(joined(*parts))
    assert sorted(joined(*reversed(parts))) == texts
    assert sorted("".join(texts).replace(" ", "").replace("><", "> <").split()) == sorted(part.text for part in parts)


# --- settings and options


def test_the_settings_of_an_earlier_version_still_open() -> None:
    record = {
        "base": "smollm2",
        "dataset": {"keep_newlines": True, "threads": True, "warnings": "omit", "holdout_fraction": 0.2},
        "training": {"epochs": 2.0, "gone": 1},
        "later": {},
    }
    settings = BotSettings.from_json(record)
    assert settings.dataset == DatasetSettings(keep_newlines=True, holdout_fraction=0.2)
    assert (settings.base, settings.training.epochs) == ("smollm2", 2.0)


def test_what_once_was_fixed_in_a_training_keeps_its_value_of_then() -> None:
    record = BotSettings().to_json()
    del record["training"]["beta1"], record["training"]["schedule"]
    then = BotSettings.from_json(record).training
    now = TrainingSettings()
    assert (then.beta1, then.schedule) == (0.9, "cosine") != (now.beta1, now.schedule)
    assert then.identity == {name: now.identity[name] for name in now.identity if name not in ("beta1", "schedule")}
    assert BotSettings.from_json(BotSettings().to_json()) == BotSettings()
    assert BotSettings.from_json({}) == BotSettings()


def test_every_setting_survives_json() -> None:
    chosen = DatasetSettings(
        replies="drop",
        join_threads=True,
        since="2020-01-01",
        until="20210101",
        min_likes=3,
        languages=("en", "pt"),
        content_warnings="prepend",
        scrub=False,
        mentions="neutral",
    )
    settings = BotSettings(dataset=chosen)
    assert BotSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"since": "yesterday"}, "--since must be a day such as 2020-12-31, not 'yesterday'"),
        ({"until": "2020-02-30"}, "--until must be a day"),
        ({"since": "2020-05-01", "until": "2020-05-01"}, "--since 2020-05-01 must be before --until 2020-05-01"),
        ({"min_likes": -1}, "--min-likes must be at least 0"),
        ({"languages": ("english",)}, "--languages must be codes such as en or pt"),
        ({"languages": ()}, "not nothing"),
        ({"languages": ("en", "jp")}, "No language has the code jp"),
        ({"replies": "hide"}, "--replies must be keep, strip or drop"),
        ({"mentions": "none"}, "--mentions must be keep or neutral"),
        ({"content_warnings": "show"}, "--warnings must be skip, prepend or omit"),
    ],
)
def test_what_makes_no_sense_is_said(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        DatasetSettings(**chosen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bot that has its posts: 200 own ones, 20 replies, a thread of 20 answers, 20 in German."""
    from huggingtweets.botdir import BotDir
    from huggingtweets.posts import dump_posts

    texts = invented_posts(240, seed=4)
    day = datetime(2024, 1, 1, tzinfo=UTC)
    posts = [Post(texts[n], "rover", str(n), day + timedelta(days=n), likes=n) for n in range(200)]
    posts[7] = dataclasses.replace(posts[7], text=f"{posts[7].text} Ask rover@example.org", warning="food")
    posts[8] = dataclasses.replace(posts[8], text=f"{posts[8].text} Ask ann@example.org or @bob")
    posts += [
        Post(f"@bob {texts[n]}", "rover", str(n), day + timedelta(days=n), "reply", reply_to="999", likes=n)
        for n in range(200, 220)
    ]
    posts += [
        Post(
            texts[n], "rover", str(n), day + timedelta(days=n), "reply", reply_to=str(n - 200), self_reply=True, likes=n
        )
        for n in range(220, 240)
    ]
    posts += [
        Post(f"Der Rover hat heute {n} schöne Steine auf dem Mond gesehen", "rover", str(n), day, likes=0)
        for n in range(240, 260)
    ]
    folder = tmp_path_factory.mktemp("home")
    bot = BotDir(folder / "rover")
    bot.path.mkdir()
    bot.posts.write_text("".join(dump_posts(posts)), encoding="utf-8")
    bot.write_record(settings=BotSettings(dataset=DatasetSettings(holdout_fraction=0)).to_json())
    return folder


def build(home: Path, *options: str) -> tuple[dict[str, int], int, list[str]]:
    """What was not kept by reason, how many texts were scrubbed, and the texts."""
    from huggingtweets.cli import app

    done = CliRunner().invoke(app, ["build", "rover", *options, "--bots-dir", str(home), "--json", "-q"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    (counts,) = report["counts"].values()
    lines = (home / "rover" / "dataset" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    dropped = {
        name: n for name, n in {**counts, **counts["left_out"]}.items() if name not in ("kept", "left_out") and n
    }
    assert sum(dropped.values()) + counts["kept"] == 260
    assert counts["kept"] == len(lines)
    return dropped, report["scrubbed_posts"], [json.loads(line)["text"] for line in lines]


PLAIN = {"behind a warning": 1}


@pytest.mark.parametrize(
    ("on", "dropped", "off"),
    [
        (["--since", "2024-01-11"], {**PLAIN, "outside the dates": 29}, ["--since", "none"]),
        (["--until", "2024-06-01"], {**PLAIN, "outside the dates": 88}, ["--until", "none"]),
        (["--min-likes", "10"], {**PLAIN, "too few likes": 29}, ["--min-likes", "0"]),
        (["--languages", "en"], {**PLAIN, "other languages": 20}, ["--languages", "None"]),
        (["--languages", "en, de"], PLAIN, ["--languages", "none"]),
        (["--replies", "drop"], {**PLAIN, "replies": 20}, ["--replies", "keep"]),
        (["--stitch"], {**PLAIN, "joined": 20}, ["--no-stitch"]),
        (["--warnings", "omit"], {}, ["--warnings", "skip"]),
        (["--warnings", "prepend"], {}, ["--warnings", "skip"]),
        (["--cleaning", "original"], {}, ["--cleaning", "ours"]),
        (
            ["--replies", "drop", "--stitch", "--languages", "en", "--min-likes", "10", "--mentions", "neutral"],
            {**PLAIN, "replies": 20, "joined": 20, "too few likes": 29},
            ["--cleaning", "ours"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_option_stays_with_the_bot_until_it_is_taken_back(
    home: Path, on: list[str], dropped: dict[str, int], off: list[str]
) -> None:
    assert build(home, "--cleaning", "ours")[0] == PLAIN
    assert build(home, *on)[0] == dropped
    assert build(home)[0] == dropped
    assert build(home, *off)[0] == PLAIN


def test_the_options_that_change_texts_do_and_are_taken_back(home: Path) -> None:
    def texts(*options: str) -> str:
        return "\n".join(build(home, *options)[2])

    as_ever = texts("--cleaning", "ours")
    assert as_ever.count("@bob") == 21
    assert "[email] or @bob" in as_ever
    assert texts("--mentions", "neutral").count("@[name]") == 21
    assert texts("--mentions", "keep") == as_ever
    assert texts("--replies", "strip").count("@bob") == 1
    assert texts("--replies", "keep") == as_ever
    assert texts("--no-scrub").count("ann@example.org") == 1
    assert texts("--scrub") == as_ever
    assert "[food] " in texts("--warnings", "prepend")
    assert texts("--warnings", "skip") == as_ever


def test_the_report_counts_the_texts_that_personal_data_was_taken_out_of(home: Path) -> None:
    assert build(home, "--cleaning", "ours", "--warnings", "omit")[1] == 2
    assert build(home, "--no-scrub")[1] == 0


def test_the_original_s_rules_switch_off_whatever_was_chosen_but_the_split(home: Path) -> None:
    build(home, "--replies", "drop", "--stitch", "--mentions", "neutral", "--since", "2024-02-01", "--keep-newlines")
    dropped, scrubbed, texts = build(home, "--cleaning", "original")
    assert (dropped, scrubbed, len(texts)) == ({}, 0, 260)
    settings = json.loads((home / "rover" / "bot.json").read_text())["settings"]["dataset"]
    assert BotSettings.from_json({"dataset": settings}).dataset == DatasetSettings.original(holdout_fraction=0)
    assert build(home, "--cleaning", "original", "--min-likes", "10")[0] == {"too few likes": 30}


def test_a_choice_that_leaves_too_little_names_the_way_back(home: Path) -> None:
    from huggingtweets.cli import app
    from huggingtweets.errors import TooLittleText

    chosen = ["--cleaning", "ours", "--since", "2030-01-01"]
    done = CliRunner().invoke(app, ["build", "rover", *chosen, "--bots-dir", str(home), "-q"])
    assert isinstance(done.exception, TooLittleText)
    assert "outside the dates 259" in done.exception.what
    assert "--cleaning ours" in done.exception.next
    assert build(home, "--cleaning", "ours")[0] == PLAIN
