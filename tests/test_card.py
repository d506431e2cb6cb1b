"""The model card: what the Hub reads of it, what people read of it, and what hostile names can do to it.

`REWRITE_GOLDEN=1 python -m pytest tests/test_card.py` rewrites tests/golden/card.md; read the diff.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from huggingtweets.card import render_card
from huggingtweets.card_header import CardFacts
from huggingtweets.config import DatasetSettings, SamplingSettings
from huggingtweets.escaping import inline, plain
from huggingtweets.posts import Account, Consent
from huggingtweets.reports import Copying, Counts, DatasetReport, EvalReport, HeldOut, Sample, TrainReport

GOLDEN = Path(__file__).parent / "golden" / "card.md"

# Of the Hub's model card metadata; ModelCardData swallows any other key in silence.
KNOWN_KEYS = {
    "language",
    "license",
    "library_name",
    "pipeline_tag",
    "tags",
    "base_model",
    "thumbnail",
    "widget",
    "model-index",
}
OUR_ELEMENTS = {
    *("div", "p", "h1", "h2", "img", "span", "code", "pre", "strong", "em", "b", "br", "sub", "blockquote"),
    *("table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary"),
}
HOSTILE = [
    "a | b || c",
    "<script>alert(1)</script>",
    '"><img src="https://evil.example/x.png" onerror="x">',
    "</div></td></table></details>",
    "two\n\nlines\r\nand\u2028more\x85",
    "```\nrm -rf\n```",
    "---\nlicense: mit\n---",
    "{{ facts }} {% x %} ${HOME} $$x^2$$ \\(y\\)",
    "[click](https://evil.example) ![x](https://evil.example/x.png)",
    "](https://evil.example) [^1] [x]: https://evil.example",
    "<https://evil.example> https://evil.example www.evil.example me@evil.example",
    "right \u202eto left \u2066isolated\u2069",
    "nul \x00 bell \x07 escape \x1b[31m",
    "zero\u200bwidth\ufeff",
    "\u200b\u3164",
    "",
    "🚀" * 50,
    "👨‍👩‍👧‍👦" * 50,
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "=====",
    "key: [value, 'x', \"y\"] & *anchor !tag %",
    "@everyone #1 GH-1",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "*bold* _it_ ~~gone~~ `code` \\",
    "z\u0334\u0335\u0336" + "\u0337" * 500,
    "long" * 5_000,
    "\ud800 alone",
    "\ufffe\uffff",
    "<!-- hidden",
    "<![CDATA[",
]


def account(handle: str = "nasa", name: str | None = "NASA", avatar: str = "nasa.png", **facts: Any) -> Account:
    known = {"platform": "x", "consent": Consent("mine", fetched_at="2026-01-02T03:04:05Z"), **facts}
    return Account(handle, display_name=name, avatar=avatar, **known)


def one_account(**changes: Any) -> CardFacts:
    facts = CardFacts(
        name="nasa",
        accounts=[account()],
        dataset=DatasetReport(
            counts={"nasa": Counts(retweets=770, short=41, duplicates=5, kept=2384)},
            characters={"nasa": 221_870},
            train_posts=2_100,
            holdout_posts=238,
            set_aside_posts=46,
            language="en",
            languages={"en": 0.972},
        ),
        training=TrainReport(
            base="smollm2",
            base_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            base_license="apache-2.0",
            parameters=134_515_008,
            recipe="default",
            settings={"recipe": "default", "learning_rate": 1.5e-4, "seed": 0, "epochs": 1.0, "minutes": None},
            steps=242,
            epochs=1.0,
            tokens=61_932,
            seconds=612.4,
            device="cpu",
            dtype="float32",
            threads=2,
            first_loss=5.412,
            final_loss=3.098,
            plan="One pass over the posts: more passes copy more and score worse.",
        ),
        evaluation=EvalReport(
            base=HeldOut(2.207, 5.488, 7.9, 238, 20_944, 8_423),
            bot=HeldOut(1.234, 3.069, 0.8, 238, 20_944, 8_423),
            copying=Copying(share=0.03, predictions=100, own_share=0.058, own_posts=2_100),
            distinct_1=0.512,
            distinct_2=0.903,
        ),
        samples=[
            Sample("My dream is", "My dream is to see Saturn's rings from a window seat. #NASA @Space_Station"),
            Sample("My dream is", "My dream is now open for questions: 3pm ET!", copied_from="Now open for questions"),
            Sample("", "Today's launch is <10 minutes away & the weather | wind looks *good*."),
        ],
        sampling=SamplingSettings(),
        cleaning=DatasetSettings(),
        versions={"huggingtweets": "0.1.0", "transformers": "5.23.0", "torch": "2.13.0"},
        repo_id="alice/nasa",
    )
    return dataclasses.replace(facts, **changes)


def three_accounts(**changes: Any) -> CardFacts:
    facts = one_account(
        name="bob-nasa-yuki",
        accounts=[
            account(),
            account(
                *("bob@mastodon.social", "Bob 🐘", "bob.png"),
                platform="mastodon",
                signals={"locked": "locked is set", "bot": ""},
                consent=Consent("permission", "Bob said so by mail, me@bob.example, May 2026", "2026-05-06T00:00:00Z"),
            ),
            account("yuki", "ゆき", "yuki.png", platform="file", consent=None),
        ],
        repo_id=None,
    )
    dataset = dataclasses.replace(
        facts.dataset,
        counts={
            "nasa": Counts(770, 41, 5, 2384),
            "bob@mastodon.social": Counts(12, 30, 0, 1058),
            "yuki": Counts(0, 20, 2, 300),
        },
        characters={"nasa": 221_870, "bob@mastodon.social": 98_000, "yuki": 9_100},
        train_posts=3_400,
        holdout_posts=300,
        set_aside_posts=42,
        languages={"en": 0.82, "ja": 0.13, "de": 0.05},
        warnings=["@yuki has only 9,100 characters of text; from 40,000 on bots sound better."],
    )
    return dataclasses.replace(facts, dataset=dataset, **changes)


def header(text: str) -> dict[str, Any]:
    block = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert block
    data = yaml.safe_load(block.group(1))
    assert isinstance(data, dict)
    return data


def body(text: str) -> str:
    return text.split("\n---\n", 1)[1]


class Page(HTMLParser):
    """What a reader's browser is given: elements, text outside code (where nothing is linked), cells of every table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.items: list[str] = []  # of lists
        self._open: list[str] = []
        self.feed(MarkdownIt("gfm-like", {"linkify": False}).render(body(text)))
        assert self._open == [], "every element that opens closes"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("img", "br", "wbr"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag == "li":
            self.items.append("")
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "li" in self._open:
            self.items[-1] += data
        if "code" not in self._open:
            self.texts.append(data)
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", {}))

    def unknown_decl(self, data: str) -> None:
        self.elements.append(("declaration", {}))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes.get(attribute) for name, attributes in self.elements if name == tag]

    def shape(self) -> list[list[int]]:
        return [[len(row) for row in table] for table in self.tables]


# ----------------------------------------------------------------------------------------------------------- the header


@pytest.mark.parametrize("facts", [one_account(), three_accounts()], ids=["one", "three"])
def test_huggingface_hub_reads_every_key_of_the_header(facts: CardFacts, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(render_card(facts), encoding="utf-8")
    data = ModelCard.load(path).data.to_dict()
    assert set(data) <= KNOWN_KEYS
    assert data == header(render_card(facts))
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-generation"
    assert "huggingtweets" in data["tags"]
    assert data["widget"] == [{"text": "My dream is"}]


def test_scores_come_back_from_the_model_index_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(render_card(one_account()), encoding="utf-8")
    data = ModelCard.load(path).data
    assert data["model_name"] == "nasa"
    assert {result.metric_type: result.metric_value for result in data["eval_results"]} == {
        "bits_per_byte": 1.234,
        "nats_per_token": 3.069,
        "bits_per_byte_base": 2.207,
        "nats_per_token_base": 5.488,
        "copied_share": 0.03,
        "distinct_1": 0.512,
        "distinct_2": 0.903,
    }


def test_numbers_that_are_none_are_left_out_of_the_header() -> None:
    scores = EvalReport(None, None, Copying(0.0, 0, 0.0, 0), float("nan"), float("nan"))
    assert "model-index" not in header(render_card(one_account(evaluation=scores)))


def test_the_language_is_what_was_detected_and_never_a_guess() -> None:
    def languages(**changes: Any) -> Any:
        dataset = dataclasses.replace(one_account().dataset, **changes)
        return header(render_card(one_account(dataset=dataset))).get("language")

    assert languages(language="ja", languages={"ja": 0.95, "en": 0.05}) == ["ja"]
    assert languages(language="en", languages={"en": 0.5, "ja": 0.4, "de": 0.06}) == ["en", "ja"]
    assert languages(language="no", languages={"no": 1.0}) == ["no"]  # YAML 1.1 would read a bare no as false
    assert languages(language=None, languages={}) is None


@pytest.mark.parametrize(
    ("base_id", "linked"),
    [
        ("openai-community/gpt2", "openai-community/gpt2"),
        ("gpt2-from-my-disk", None),
        ("/home/me/gpt2", None),
        ("./models/gpt2", None),
        ("~/models", None),
        ("a/b/c", None),
        ("C:\\models\\x", None),
    ],
)
def test_only_a_base_of_the_hub_is_named_in_the_header(base_id: str, linked: str | None) -> None:
    training = dataclasses.replace(one_account().training, base_id=base_id)
    assert header(render_card(one_account(training=training))).get("base_model") == linked


@pytest.mark.parametrize(
    ("license", "named"), [("apache-2.0", "apache-2.0"), ("MIT", "mit"), (None, None), ("see file", None)]
)
def test_the_licence_is_that_of_the_base_where_the_hub_can_read_it(license: str | None, named: str | None) -> None:
    training = dataclasses.replace(one_account().training, base_license=license)
    assert header(render_card(one_account(training=training))).get("license") == named


def test_the_thumbnail_is_the_repositorys_own_picture() -> None:
    published = header(render_card(one_account()))["thumbnail"]
    assert published == "https://huggingface.co/alice/nasa/resolve/main/predictions.png"
    assert header(render_card(one_account(repo_id=None)))["thumbnail"] == "predictions.png"


# ------------------------------------------------- the Hub's own check, by the real client against a server on loopback


class _HubThatParses(BaseHTTPRequestHandler):
    """Answers as the Hub does: 400 with the reason unless the header is YAML of known keys."""

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        error = self._error(sent) if self.path == "/api/validate-yaml" else "no such address"
        answer = json.dumps({"errors": [{"message": error}] if error else [], "warnings": []}).encode()
        self.send_response(400 if error else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _error(self, sent: dict[str, str]) -> str:
        try:
            keys = set(header(sent["content"]))
        except (AssertionError, yaml.YAMLError) as error:
            return f"not YAML: {error}"
        return f"unknown: {keys - KNOWN_KEYS}" if sent["repoType"] != "model" or keys - KNOWN_KEYS else ""

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _HubThatParses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def validate(paths: list[Path], hub: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads HF_ENDPOINT when it is imported."""
    code = (
        "import sys\nfrom huggingface_hub import ModelCard\nfor path in sys.argv[1:]: ModelCard.load(path).validate()"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub, "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, *map(str, paths)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_hubs_client_finds_no_fault_with_any_card(hub: str, tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate([None, *HOSTILE]):
        paths.append(tmp_path / f"{number}.md")
        facts = three_accounts() if name is None else with_name(name)
        paths[-1].write_text(render_card(facts), encoding="utf-8")
    done = validate(paths, hub)
    assert done.returncode == 0, done.stderr


def test_the_hubs_client_would_have_found_a_fault(hub: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(render_card(one_account()).replace("pipeline_tag:", "pipline_tag:"), encoding="utf-8")
    done = validate([path], hub)
    assert done.returncode != 0
    assert "pipline_tag" in done.stderr


# ------------------------------------------------------------------------------------------------------------- the page


def test_the_card_is_the_reviewed_one() -> None:
    rendered = render_card(one_account())
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(rendered, encoding="utf-8")
    assert rendered == GOLDEN.read_text(encoding="utf-8")


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.parametrize("facts", [one_account(), three_accounts()], ids=["one", "three"])
def test_the_table_of_posts_adds_up_in_every_column(facts: CardFacts) -> None:
    heading, *rows = Page(render_card(facts)).tables[0]
    columns = list(zip(*rows, strict=True))[1:]
    for column in columns:
        downloaded, retweets, short, duplicates, kept, _ = map(number, column)
        assert downloaded == retweets + short + duplicates + kept
    handles = [f"@{handle}" for handle in facts.dataset.counts]
    assert heading == ["", *handles, *(["All"] if len(handles) > 1 else [])]


def test_the_total_of_several_accounts_is_the_sum_of_their_columns() -> None:
    for row in Page(render_card(three_accounts())).tables[0][1:]:
        *parts, total = map(number, row[1:])
        assert sum(parts) == total


def test_one_account_makes_a_bot_and_several_make_a_cyborg() -> None:
    assert "🤖 AI BOT 🤖" in render_card(one_account())
    cyborg = render_card(three_accounts())
    assert "🤖 AI CYBORG 🤖" in cyborg
    assert "NASA & Bob 🐘 & ゆき" in "".join(Page(cyborg).texts)


def test_faces_are_round_described_and_files_of_the_repository() -> None:
    page = Page(render_card(three_accounts()))
    assert page.values("img", "src") == ["avatars/nasa.png", "avatars/bob.png", "avatars/yuki.png", "predictions.png"]
    assert all(page.values("img", "alt"))
    assert all("border-radius: 50%" in (style or "") for style in page.values("img", "style")[:3])


def test_no_picture_is_fetched_from_a_server() -> None:
    for source in Page(render_card(one_account())).values("img", "src"):
        assert source is not None
        assert not re.match(r"\w+:|//", source)


def test_the_training_post_that_a_sample_copies_is_not_shown() -> None:
    secret = "a post of the account that nobody but its readers should see"
    rendered = render_card(one_account(samples=[Sample("", "Out of the blue", copied_from=secret)]))
    assert secret not in rendered
    assert "copies a training post" in rendered


def test_the_given_beginning_of_a_sample_is_bold() -> None:
    rendered = render_card(one_account(samples=[Sample("My dream is", "My dream is to fly")]))
    assert '<blockquote dir="auto"><b>My dream is</b> to fly</blockquote>' in rendered


def test_the_example_loads_the_repository_once_there_is_one_and_the_folder_before() -> None:
    assert 'pipeline("text-generation", model="alice/nasa")' in render_card(one_account())
    local = render_card(one_account(repo_id=None))
    assert 'pipeline("text-generation", model="bots/nasa/model")' in local
    for rendered in (local, render_card(one_account(name='"); import os; ("', repo_id=None))):
        example = re.search(r"```python\n(.*?)```", rendered, re.DOTALL)
        assert example
        statements = compile(example.group(1), "card", "exec").co_names
        assert "os" not in statements


def test_what_was_not_measured_is_said_to_be_missing() -> None:
    dataset = dataclasses.replace(one_account().dataset, holdout_posts=0, set_aside_posts=0, train_posts=2384)
    scores = EvalReport(None, None, Copying(0.0, 0, 0.0, 0), 0.0, 0.0)
    rendered = render_card(one_account(dataset=dataset, evaluation=scores, samples=[]))
    assert "**not measured**" in rendered
    assert not re.search(r"\bnan\b|None", rendered)
    assert "scores" not in rendered.split("```text")[1].split("```")[0]


@pytest.mark.parametrize(
    ("bits", "verdict"),
    [
        (1.234, "it learned how these posts are written"),
        (2.15, "it learned little"),
        (2.207, "did not help"),
        (2.5, "did not help"),
    ],
)
def test_the_verdict_follows_the_gain(bits: float, verdict: str) -> None:
    scores = one_account().evaluation
    assert scores.bot is not None
    bot = dataclasses.replace(scores.bot, bits_per_byte=bits)
    assert verdict in render_card(one_account(evaluation=dataclasses.replace(scores, bot=bot)))


def test_copying_is_set_against_how_much_the_account_repeats_itself() -> None:
    scores = one_account().evaluation
    more = dataclasses.replace(scores, copying=Copying(0.2, 100, 0.058, 2_100))
    assert "no more often than the account repeats itself" in render_card(one_account())
    assert "does so more often than the account repeats itself" in render_card(one_account(evaluation=more))
    assert "Of 100 predictions, 20% did." in render_card(one_account(evaluation=more))


def test_warnings_of_the_dataset_are_shown() -> None:
    assert "⚠️ @yuki has only 9,100 characters" in "".join(Page(render_card(three_accounts())).texts)


def test_a_run_is_linked_only_by_a_plain_https_address() -> None:
    good = "https://wandb.ai/me/huggingtweets/runs/abc123"
    assert Page(render_card(one_account(run_url=good))).values("a", "href") == [good]
    for bad in ["javascript:alert(1)", 'https://x/"onclick="y', "http://x/", "https://x/\nb", ""]:
        assert Page(render_card(one_account(run_url=bad))).count("a") == 0


def test_what_was_said_and_seen_is_told() -> None:
    section = render_card(three_accounts()).split("## Whose words these are")[1].split("\n## ")[0]
    nasa, bob, yuki = Page(f"---\n---\n{section}").items
    assert nasa == (
        "@nasa, fetched from X on 2026-01-02. Whoever made this bot said that the account is their own."
        " Nothing in its profile speaks against it."
    )
    assert bob.startswith(
        "@bob@mastodon.social, fetched from Mastodon on 2026-05-06. Whoever made this bot said that its "
    )
    assert "owner agreed: “Bob said so by mail, [email], May 2026”." in bob
    assert bob.endswith("The account approves its followers one by one (locked is set), and is a bot itself.")
    assert yuki == (
        "@yuki, from a file. Whose account it is was not asked."
        " What the account itself says of such use, a file does not tell."
    )


def test_everyone_is_told_what_it_must_not_be_used_for() -> None:
    limits = render_card(one_account()).split("## Limitations and bias")[1].split("\n## ")[0]
    for word in ("invented", "biases", "repeat", "not the opinion", "impersonation", "AI-generated", "licence"):
        assert word in limits


# --------------------------------------------------------------------------------------------------------- hostile text


def with_name(text: str) -> CardFacts:
    """Three accounts, and the text in every place that others have a say in."""
    facts = three_accounts()
    training = facts.training
    return dataclasses.replace(
        facts,
        name=text,
        accounts=[
            account(text, text, text, platform=text, consent=Consent("mine", fetched_at=text)),
            account("bob", text, consent=Consent("permission", text, text)),
            account(text, None, signals={text: text, "locked": text}),
        ],
        dataset=dataclasses.replace(
            facts.dataset,
            counts={text: Counts(1, 2, 3, 4), f"{text}2": Counts(5, 6, 7, 8)},
            characters={text: 1},
            languages={text: 1.0},
            language=text,
            warnings=[text],
        ),
        training=dataclasses.replace(
            training,
            base=text,
            base_id=text,
            base_license=f"licence {text}",
            recipe=text,
            device=text,
            plan=text,
            settings={text: text, "learning_rate": text},
        ),
        samples=[Sample(text, text + text), Sample("", text, copied_from=text)],
        versions={text: text},
        repo_id=None,
        run_url=text,
    )


@functools.cache
def harmless_page() -> Page:
    return Page(render_card(with_name("harmless")))


def assert_harmless(facts: CardFacts) -> None:
    """The card has the same bones as that of a harmless name, and nothing a renderer would act on."""
    rendered, harmless = render_card(facts), harmless_page()
    page = Page(rendered)
    assert page.shape() == harmless.shape()
    assert {tag for tag, _ in page.elements} <= OUR_ELEMENTS
    for tag in ("img", "h1", "h2", "blockquote", "li", "pre", "code", "details", "strong", "em", "div", "p"):
        assert page.count(tag) == harmless.count(tag), tag
    for source in page.values("img", "src"):
        assert re.fullmatch(r"avatars/[\w.%~-]*|predictions\.png", source or "")
    assert all(
        set(attributes) <= {"src", "alt", "width", "height", "style", "align", "dir", "class"}
        for _, attributes in page.elements
    )
    for text in page.texts:
        assert not re.search(r"https?://\S|www\.\S|\S@\w|@\w|\$\$|\\[(\[]", text)
    assert not set(rendered) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\x00")
    rendered.encode("utf-8")
    assert len(rendered.splitlines()) == len(rendered.split("\n")) - 1, "no other line ends than ours"
    assert ModelCard(rendered).data.to_dict() == header(rendered)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_changes_neither_tables_nor_elements_nor_header(text: str) -> None:
    assert_harmless(with_name(text))


MARKUP = st.lists(
    st.one_of(st.sampled_from([*"|<>&*_`~[]()!#-+=:@$\\{}\"'\n\r\t .1", "www.", "http://", "```", "---"]), st.text()),
    max_size=12,
).map("".join)


@given(MARKUP)
@settings(max_examples=150, deadline=None)
def test_no_text_whatever_changes_tables_elements_or_header(text: str) -> None:
    assert_harmless(with_name(text))


@given(MARKUP)
def test_escaped_text_reads_as_the_plain_text(text: str) -> None:
    reader = Page(f"---\n---\n<p>{inline(text)}</p>\n")
    assert "".join(reader.texts).strip() == plain(text)


@given(MARKUP)
def test_plain_text_is_one_line_and_stays_as_it_is(text: str) -> None:
    once = plain(text)
    assert once == plain(once)
    assert once.splitlines() == ([once] if once else [])


def test_a_long_name_is_cut_between_signs() -> None:
    families = plain("👨‍👩‍👧‍👦" * 50, 50)
    assert families == "👨‍👩‍👧‍👦" * 7 + "…"
    assert plain("e\u0301" * 3, 4) == "e\u0301…"


def test_a_name_that_nobody_can_see_gives_way_to_the_handle() -> None:
    assert '<h1 dir="auto">nasa</h1>' in render_card(one_account(accounts=[account(name="\u200b\u3164")]))
