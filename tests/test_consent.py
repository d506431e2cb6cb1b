"""One gate for all sources: what is refused, what is asked, what is noted, and what a profile's own words mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huggingtweets.consent import SIGNALS, Word, ask_first, identity_of, judge, names_of, signals_of
from huggingtweets.errors import BotError, ConsentMissing, ConsentRefused, SettingsError
from huggingtweets.forgotten import FILE, is_forgotten, note_allowed, note_forgotten
from huggingtweets.posts import Account
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.wishes import LONGEST_LINE, wishes_in

NETWORK, FILE_, EXPORT = Origin("network"), Origin("file"), Origin("export")
PAID = Origin("network", terms="X does not allow training.", price="up to $16.01")
MINE, NOBODY = Word(mine=True), Word()
FRIEND = Word(permission="Alice said so by mail, May 2026")


@dataclass
class Somewhere:
    """A source that would fail the test if it were read."""

    origin: Origin = NETWORK
    handle: str = "alice.example"
    spec: str = "bluesky:alice.example"

    def fingerprint(self) -> str:
        raise AssertionError("asked too early")

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        raise AssertionError("asked too early")


def account(handle: str = "alice.example", **facts: object) -> Account:
    return Account(handle, "bluesky", **facts)  # type: ignore[arg-type]


# --- before the first request ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [MINE, FRIEND])
def test_whoever_says_whose_account_it_is_may_go_on(word: Word, tmp_path: Path) -> None:
    ask_first(Somewhere(), word, tmp_path)


@pytest.mark.parametrize("origin", [FILE_, EXPORT])
def test_nobody_is_asked_about_a_file(origin: Origin, tmp_path: Path) -> None:
    ask_first(Somewhere(origin), NOBODY, tmp_path)


def test_everything_that_is_missing_is_asked_for_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConsentMissing) as caught:
        ask_first(Somewhere(PAID), NOBODY, tmp_path)
    for option in ("--mine", "--permission", "--accept-x-terms", "--yes"):
        assert option in caught.value.next
    assert "up to $16.01" in caught.value.why
    assert "X does not allow training." in caught.value.why


@pytest.mark.parametrize(
    ("word", "missing"),
    [
        (Word(mine=True, terms=True), "--yes"),
        (Word(mine=True, price=True), "--accept-x-terms"),
        (Word(terms=True, price=True), "--mine"),
    ],
)
def test_no_word_stands_for_another(word: Word, missing: str, tmp_path: Path) -> None:
    with pytest.raises(ConsentMissing) as caught:
        ask_first(Somewhere(PAID), word, tmp_path)
    assert caught.value.next.startswith(f"the same command with {missing}")
    ask_first(Somewhere(PAID), Word(mine=True, terms=True, price=True), tmp_path)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_permission_needs_a_reason(reason: str) -> None:
    with pytest.raises(SettingsError, match="needs a reason"):
        Word(permission=reason)


def test_one_s_own_account_needs_no_permission() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        Word(mine=True, permission="Alice said so")


def test_what_was_said_is_kept() -> None:
    assert MINE.consent("2026-01-01T00:00:00Z").said == "mine"
    kept = FRIEND.consent(None)
    assert (kept.said, kept.why, kept.fetched_at) == ("permission", "Alice said so by mail, May 2026", None)
    assert NOBODY.consent(None).said is None


# --- what the account says of itself -----------------------------------------------------------------------------

REFUSED = [name for name, (verdict, _) in SIGNALS.items() if verdict == "refuse"]
ASKED = [name for name, (verdict, _) in SIGNALS.items() if verdict == "ask"]
NOTED = [name for name, (verdict, _) in SIGNALS.items() if verdict == "note"]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("origin", [NETWORK, FILE_, EXPORT])
@pytest.mark.parametrize("word", [MINE, FRIEND, NOBODY])
def test_a_no_is_a_no_whoever_says_what(name: str, origin: Origin, word: Word, tmp_path: Path) -> None:
    with pytest.raises(ConsentRefused, match="here it says so"):
        judge(account(signals={name: "here it says so"}), origin, word, tmp_path)


def test_the_list_of_refusals_is_the_reviewed_one() -> None:
    assert set(REFUSED) == {"protected", "suspended", "deleted", "no_ai", "server_no_ai"}


def test_a_protected_account_is_refused_without_a_signal(tmp_path: Path) -> None:
    with pytest.raises(ConsentRefused, match="approved followers only"):
        judge(account(protected=True), FILE_, MINE, tmp_path)


@pytest.mark.parametrize("name", ASKED)
def test_a_reserve_is_answered_by_a_word(name: str, tmp_path: Path) -> None:
    reserved = account(signals={name: "here"})
    with pytest.raises(ConsentMissing, match="--mine"):
        judge(reserved, FILE_, NOBODY, tmp_path)
    for word in (MINE, FRIEND):
        assert judge(reserved, FILE_, word, tmp_path) == judge(reserved, NETWORK, word, tmp_path) != []
    assert judge(reserved, EXPORT, NOBODY, tmp_path) != []


@pytest.mark.parametrize("name", NOTED)
def test_the_rest_is_noted(name: str, tmp_path: Path) -> None:
    (note,) = judge(account(signals={name: "here"}), FILE_, NOBODY, tmp_path)
    assert note.startswith("@alice.example ")
    assert note.endswith("(here).")


def test_nothing_seen_nothing_said(tmp_path: Path) -> None:
    assert judge(account(), FILE_, NOBODY, tmp_path) == []


def test_a_signal_of_a_later_version_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(ConsentMissing, match="no music"):
        judge(account(signals={"no_music": ""}), FILE_, NOBODY, tmp_path)


def test_all_signals_are_named_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConsentRefused) as caught:
        judge(account(signals={"no_ai": "a", "suspended": "b", "deleted": ""}), NETWORK, MINE, tmp_path)
    assert "says no to AI (a), is suspended (b) and is deleted or deactivated." in caught.value.what


@pytest.mark.parametrize(
    "facts", [{"bio": "Baker. #NoAI"}, {"display_name": "Alice #NoAI"}, {"fields": ("x: y", "Note: #NoAI")}]
)
def test_the_profile_s_own_words_count_wherever_they_are(facts: dict[str, object], tmp_path: Path) -> None:
    assert signals_of(account(**facts)) == {"no_ai": "its profile says “#NoAI”"}
    with pytest.raises(ConsentRefused, match="“#NoAI”"):
        judge(account(**facts), FILE_, MINE, tmp_path)


def test_what_a_source_saw_is_not_written_over() -> None:
    assert signals_of(account(bio="#NoAI", signals={"no_ai": "its record"})) == {"no_ai": "its record"}


# --- words -------------------------------------------------------------------------------------------------------

CLEAR = """
#NoAI|#noai|#No_AI|#NoAIArt|#noAItraining|#NoLLM|#keineKI
Artist. No AI.|no ai|NO AI|No A.I. please|no AI training|no-AI|NoAI|No LLMs|no machine learning|no AI please 🙏
No AI, no NFT|No generative AI|no gen AI|no AI/ML|N\u200bo AI|ｎｏ ＡＩ
AI: no thanks|AI: no|AI training: no|AI use: not allowed|AI training prohibited|AI training is not allowed
AI training of my work is forbidden|No AI training on my posts|No AI training allowed|not for AI training
Do not train AI on my posts|don't train your models on my work|don’t train on my posts|Never train on my data
Please don't use my art to train models|Do not feed my posts to ChatGPT|don't feed this to an LLM|Do not scrape my posts
I do not consent to AI training|I do not consent to my posts being used for machine learning|I do not allow AI
no permission for AI use|I don't allow my work to be used in AI datasets|opted out of AI training
No scraping of my posts|🚫AI|❌ AI|AI 🚫|🚫 gen AI
keine KI|Keine KI!|kein KI-Training|keine KI-Nutzung|KI-Training verboten|nicht für KI|KI: nein
pas d'IA|pas d’IA générative|non à l'IA|IA interdite
no a la IA|No IA|no usar para entrenar IA|prohibido usar para IA
não à IA|proibido usar em IA|no all'IA|geen AI|geen AI-training|nie dla AI
Запрещено использовать для обучения ИИ
AI学習禁止|ＡＩ学習禁止|生成AI禁止|AI学習・無断転載禁止|AI利用お断り|AI学習NG|無断AI学習禁止
禁止AI学习|禁止用于AI训练|拒绝AI|請勿用於AI訓練|AI 학습 금지|AI학습금지
"""
HARMLESS = """
no aid|no air|#noair|no aim in life|no idea|No iPhone|casino ai|Cyborg. 100% AI|NOT A BOT|AI makes me happy
I do not train on Mondays|I don't train with weights|I don't feed my dog|I never train on leg day|No train no gain
Rest day. No training.|no training with my dog|I do not train with my brother|No training on my rest days
No training wheels|paid training|Training: no days off|I never use my car to train|I don't allow dogs on the train
NO AI VACCINI|no ai fascisti|não ia|Je suis no 1|J'ai dit non|je n'ai pas|kein Kino|keine Kids
I am no AI|I'm no AI expert|Not an AI. Human.|Ich bin keine KI|Hello, AI: no. 1 fan|I work on AI safety|AI: enthusiast
AI nerd, opinions are not my employer's|I love machine learning: never stop|MLOps|The AI uses no data from me
I do not agree with the AI hype|No permission slip needed, AI nerd|No, I don't scrape ice|生成AI大好き|AI学習大好き
"""


def listed(words: str) -> list[str]:
    return [part for line in words.strip().splitlines() for part in line.split("|")]


@pytest.mark.parametrize("words", listed(CLEAR))
def test_a_clear_no_is_heard(words: str) -> None:
    for text in (words, f"Baker. {words}", f"{words}\nBaker"):
        assert "no_ai" in wishes_in([text]), text


@pytest.mark.parametrize("words", listed(HARMLESS))
def test_other_words_are_no_no(words: str) -> None:
    assert "no_ai" not in wishes_in([words])


@pytest.mark.parametrize(
    ("words", "signal"),
    [
        ("no AI generated images", "perhaps_no_ai"),
        ("human made, AI-free", "perhaps_no_ai"),
        ("sans IA", "perhaps_no_ai"),
        ("#nobot", "no_bots"),
        ("#NoBots please", "no_bots"),
        ("No bots.", "no_bots"),
        ("#noindex", "noindex"),
        ("#NoArchive", "noindex"),
        ("no scraping", "noindex"),
    ],
)
def test_a_reserve_is_heard_too(words: str, signal: str) -> None:
    assert list(wishes_in([words])) == [signal]


@pytest.mark.parametrize("words", ["no bot here, but a man", "nobody indexes", "robots", "#nobotany", "archive"])
def test_bots_and_indexes_are_not_found_in_other_words(words: str) -> None:
    assert wishes_in([words]) == {}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text() | st.none(), max_size=3))
def test_any_words_can_be_read(lines: list[str | None]) -> None:
    assert set(wishes_in(lines)) <= set(SIGNALS)


@pytest.mark.parametrize("piece", ["no ", "n't feed a b my ", "no consent to ", "AI", "禁止", "🚫", "\ufdfa", "a" * 99])
def test_a_profile_of_any_length_is_read_at_once(piece: str) -> None:
    wishes_in([piece * (1_000_000 // len(piece))])
    assert wishes_in(["x" * LONGEST_LINE + "#NoAI"]) == {}


# --- the forgotten -----------------------------------------------------------------------------------------------


def test_a_forgotten_account_is_refused_under_every_name(tmp_path: Path) -> None:
    known = Account("Bob", "x", id="42", url="https://x.com/bob_bakes")
    note_forgotten(tmp_path, names_of(known))
    for handle, spec in [("BOB", "x:BOB"), ("renamed", "x:bob_bakes"), ("bob", "file:/tmp/bob.csv")]:
        with pytest.raises(ConsentRefused, match="was forgotten here"):
            ask_first(Somewhere(FILE_, handle, spec), MINE, tmp_path)
    for same in (Account("new_name", "x", id="42"), Account("Bob", "file"), Account("a", "x", url="https://x.com/BOB")):
        with pytest.raises(ConsentRefused, match="--undo"):
            judge(same, NETWORK, MINE, tmp_path)


def test_the_way_back_names_the_account_by_what_was_forgotten(tmp_path: Path) -> None:
    note_forgotten(tmp_path, ["bob", "x#42"])
    with pytest.raises(ConsentRefused, match="forget @x#42 --undo"):
        judge(Account("called_otherwise", "x", id="42"), Origin("export"), MINE, tmp_path)
    assert note_allowed(tmp_path, ["@x#42"])


def test_nobody_else_is_refused(tmp_path: Path) -> None:
    note_forgotten(tmp_path, names_of(Account("bob@a.example", "mastodon", id="1", url="https://a.example/@bob")))
    for other in (
        Account("bob@b.example", "mastodon", id="1", url="https://b.example/@bob"),
        Account("someone", "x", id="1"),
        Account("bob", "x", id="7"),
    ):
        assert judge(other, NETWORK, MINE, tmp_path) == []
    ask_first(Somewhere(), MINE, tmp_path)


def test_the_list_tells_nobody_s_name(tmp_path: Path) -> None:
    note_forgotten(tmp_path, ["alice.example", "did:plc:abc"])
    note_forgotten(tmp_path, ["@Bob"])
    written = (tmp_path / FILE).read_text()
    for name in ("alice", "did:plc", "bob"):
        assert name not in written.lower()
    salts = set()
    for number in range(2):
        note_forgotten(tmp_path / str(number), ["bob"])
        salts.add((tmp_path / str(number) / FILE).read_text())
    assert len(salts) == 2, "a list can't be looked up in another"


def test_one_name_of_an_account_takes_all_of_it_back(tmp_path: Path) -> None:
    note_forgotten(tmp_path, ["alice.example", "did:plc:abc"])
    note_forgotten(tmp_path, ["bob"])
    note_forgotten(tmp_path, ["did:plc:abc", "alice.new.example"])
    assert note_allowed(tmp_path, ["@Alice.new.example"])
    assert not is_forgotten(tmp_path, ["alice.example", "did:plc:abc", "alice.new.example"])
    assert is_forgotten(tmp_path, ["bluesky:@BOB"])
    assert not note_allowed(tmp_path, ["alice.example"])
    assert not note_allowed(tmp_path / "nowhere", ["alice.example"])


@pytest.mark.parametrize("damage", ["", "[]", '{"salt": "zz", "accounts": []}', '{"salt": "00", "accounts": [[1]]}'])
def test_a_damaged_list_lets_nobody_through(damage: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(BotError, match="list of forgotten accounts"):
        ask_first(Somewhere(), MINE, tmp_path)


def test_numbers_of_different_networks_are_different_names() -> None:
    accounts = [
        Account("a", "x", id="1"),
        Account("a@a.example", "mastodon", id="1"),
        Account("a@b.example", "mastodon", id="1"),
        Account("a@b.example", "mastodon", id="1", url="https://social.b.example/@a"),
        Account("a", "mastodon", id="https://b.example/users/a"),
        Account("a", "mastodon", id="1", url="https://["),
    ]
    assert len({identity_of(account) for account in accounts}) == len(accounts)
    assert identity_of(Account("a", "x")) is identity_of(Account("a", "x", id="")) is None
