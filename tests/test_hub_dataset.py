"""Datasets on the Hub as a source: the real library against a Hub on this machine, and what goes wrong there."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_hub import DatasetHub, Files, serve_datasets
from huggingtweets.config import ImportSettings
from huggingtweets.consent import Word, ask_first
from huggingtweets.errors import ConsentMissing, SourceError
from huggingtweets.sources import recognise
from huggingtweets.sources.hub.names import DatasetName, dataset_named

pytest.importorskip("datasets")

Asked = list[tuple[str, dict[str, Any]]]  # a spec, and how it is read

READER = Path(__file__).with_name("dataset_reader.py")
TOKEN = "hf_invented"


def jsonl(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def parquet(rows: int) -> bytes:
    """Posts beside what a dataset of posts may hold besides: pictures and vectors."""
    out = io.BytesIO()
    table = pa.table(
        {
            "id": pa.array(range(10**18, 10**18 + rows), pa.int64()),
            "tweet": [f"post {n}" if n % 100 else None for n in range(rows)],
            "created_at": pa.array([1_524_152_918_000_000_000] * rows, pa.timestamp("ns", tz="UTC")),
            "image": [{"bytes": b"\xff\xd8", "path": "a.jpg"}] * rows,
            "embedding": [[0.1, 0.2]] * rows,
        }
    )
    pq.write_table(table, out, row_group_size=700)
    return out.getvalue()


def tweets() -> bytes:
    user = {"id_str": "42", "screen_name": "ab", "name": "A B", "description": "Bread"}
    first = {"id_str": "1", "full_text": "mine &amp; yours", "user": user, "lang": "en", "favorite_count": 3}
    return jsonl(
        {**first, "retweeted_status": None},
        {**first, "id_str": "2", "full_text": "theirs", "retweeted_status": {"id": 9}},
    )


def statuses() -> bytes:
    account = {
        "id": "109",
        "acct": "bakery",
        "username": "bakery",
        "url": "https://social.example/@bakery",
        "noindex": True,
    }
    status = {"id": "1", "content": "<p>Bread &amp; butter</p>", "visibility": "public", "account": account}
    return jsonl({**status, "reblog": None}, {**status, "id": "2", "visibility": "private", "reblog": None})


TWO_CONFIGS = b"""---
configs:
- config_name: one
  data_files: one.csv
- config_name: two
  data_files: two.csv
---
"""

REPOSITORIES: dict[str, Files] = {
    "me/table": {"posts.csv": b"id,text,user\n1,hello,Alice\n2,more,Alice\n3,,Alice\n", "README.md": b"# Posts\n"},
    "me/text": {"posts.txt": b"one line\nanother\n"},
    "me/tweets": {"tweets.jsonl": tweets()},
    "me/statuses": {"statuses.jsonl": statuses()},
    "me/parquet": {"data/train-00000-of-00001.parquet": parquet(2500)},
    "me/authors": {"posts.csv": b"user,text\nann,one\nbob,two\nann,three\n"},
    "me/odd": {"posts.csv": b"number,inhalt\n1,guten Tag\n"},
    "me/splits": {"train.csv": b"text\na\n", "test.csv": b"text\nb\n"},
    "me/configs": {"README.md": TWO_CONFIGS, "one.csv": b"text\nx\n", "two.csv": b"text\ny\n"},
    "me/private": {"posts.csv": b"text\nsecret\n"},
    "me/hidden": {"posts.csv": b"text\nsecret\n"},
    "me/gated": {"posts.csv": b"text\nsecret\n"},
    "me/broken": {"posts.csv": b"text\nhi\n"},
    "me/dropped": {"posts.csv": b"text\nhi\n"},
    "me/script": {"script.py": b"raise SystemExit", "posts.csv": b"text\nhi\n"},
    "me/empty": {"README.md": b"nothing here yet"},
    "me/damaged": {"posts.jsonl": b'{"text": "one"}\n{"text": oops}\n'},
    "me/different": {"a.csv": b"text,n\nx,1\n", "b.csv": b"text,m\nx,1\n"},
    "me/outside": {},  # names a file on this machine
    "me/header": {"README.md": b"---\nconfigs: 5\n---\n", "posts.csv": b"text\nhi\n"},
}

ONLINE: Asked = [
    *((f"hub:{name}", {}) for name in REPOSITORIES),
    ("hub:me/authors", {"author": "Ann"}),
    ("hub:me/odd", {"text_column": "Inhalt", "handle": "otto"}),
    ("hub:me/odd", {"text_column": "text"}),
    ("hub:me/splits:test", {}),
    ("hub:me/splits:test+train", {}),
    ("hub:me/splits:validation", {}),
    ("hub:me/configs/two", {}),
    ("hub:me/configs/two:train", {}),
    ("hub:me/configs/three", {}),
    ("hub:me/table@v1.0", {}),
    ("hub:me/table@v9", {}),
    ("hub:me/nothing", {}),
]
OFFLINE: Asked = [
    ("hub:me/table", {}),
    ("hub:me/table@v1.0", {}),
    ("hub:me/parquet", {}),
    ("hub:me/configs/one", {}),
    ("hub:me/table@v2.0", {}),
    ("hub:me/nothing", {}),
]


@pytest.fixture(scope="module")
def hub(home: Path) -> Iterator[DatasetHub]:
    outside = f"---\nconfigs:\n- config_name: default\n  data_files: {home}/me/table/posts.csv\n---\n"
    repositories = REPOSITORIES | {"me/outside": {"README.md": outside.encode()}}
    invented = DatasetHub(repositories, gated={"me/gated"}, broken={"me/broken"}, dropped={"me/dropped"})
    invented.private |= {"me/private": TOKEN, "me/hidden": "another's"}
    invented.revisions["me/table", "v1.0"] = {"posts.csv": b"text\nas it was\n"}
    with serve_datasets(invented):
        yield invented


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the libraries keep what they have. A folder with a dataset's name lies beside it."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "me/table").mkdir(parents=True)
    (folder / "me/table/posts.csv").write_text("text\nnot what was meant\n")
    return folder


def read_apart(asked: Asked, hub: DatasetHub, home: Path, **environment: str) -> dict[Any, Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "cache"), **environment}
    done = subprocess.run(
        [sys.executable, READER],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env=inherited | settings,
        cwd=home,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answered: dict[str, Any] = json.loads(done.stdout)
    keys = [(spec, *map(str, options.values())) for spec, options in asked]
    return dict(zip(keys, answered["results"], strict=True)) | {"hosts": answered["hosts"]}


@pytest.fixture(scope="module")
def online(hub: DatasetHub, home: Path) -> dict[Any, Any]:
    return read_apart(ONLINE, hub, home, HF_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def offline(online: dict[Any, Any], hub: DatasetHub, home: Path) -> dict[Any, Any]:
    """After the datasets were read once."""
    hub.log.clear()
    return read_apart(OFFLINE, hub, home, HF_HUB_OFFLINE="1")


def texts(result: dict[str, Any]) -> list[str]:
    return [post["text"] for post in result["posts"]]


# --- what is read ------------------------------------------------------------------------------------------------


def test_rows_are_read_as_those_of_a_file(online: dict[Any, Any]) -> None:
    table = online["hub:me/table",]
    assert [(post["id"], post["text"]) for post in table["posts"]] == [("1", "hello"), ("2", "more")]
    assert table["losses"] == {"rows without text": 1}
    assert (table["account"]["handle"], table["account"]["platform"]) == ("Alice", "hub")
    assert texts(online["hub:me/text",]) == ["one line", "another"]
    assert online["hub:me/text",]["account"]["handle"] == "text"


def test_nested_rows_say_who_wrote_them_and_what_they_repeat(online: dict[Any, Any]) -> None:
    read = online["hub:me/tweets",]
    assert [(post["text"], post["kind"], post["likes"]) for post in read["posts"]] == [
        ("mine &amp; yours", "original", 3),
        ("theirs", "repost", 3),
    ]
    assert (read["account"]["handle"], read["account"]["bio"]) == ("ab", "Bread")


def test_what_is_not_public_is_no_post_in_a_dataset_either(online: dict[Any, Any]) -> None:
    read = online["hub:me/statuses",]
    assert texts(read) == ["Bread & butter"]
    assert read["account"]["handle"] == "bakery@social.example"
    assert "noindex" in read["account"]["signals"]
    assert list(read["losses"].values()) == [1]


def test_the_first_page_is_the_account_and_the_others_a_thousand_rows(online: dict[Any, Any]) -> None:
    read = online["hub:me/parquet",]
    assert read["pages"] == [0, 1000, 1000, 475]
    assert read["fractions"][1:] == sorted(read["fractions"][1:])
    assert (
        read["posts"][0] | {"text": "post 1", "id": str(10**18 + 1), "created_at": "2018-04-19T15:48:38Z"}
        == (read["posts"][0])
    )
    assert read["losses"] == {"rows without text": 25}


def test_author_column_and_handle_are_chosen_as_for_files(online: dict[Any, Any]) -> None:
    assert "ann (2), bob (1)" in online["hub:me/authors",]["said"]
    assert texts(online["hub:me/authors", "Ann"]) == ["one", "three"]
    assert "Columns seen: number, inhalt" in online["hub:me/odd",]["said"]
    assert "--text-column" in online["hub:me/odd",]["said"]
    assert "has no column 'text'" in online["hub:me/odd", "text"]["said"]
    assert texts(online["hub:me/odd", "Inhalt", "otto"]) == ["guten Tag"]
    assert online["hub:me/odd", "Inhalt", "otto"]["account"]["handle"] == "otto"


def test_splits_configurations_and_revisions_are_chosen_by_name(online: dict[Any, Any]) -> None:
    assert texts(online["hub:me/splits:test",]) == ["b"]
    assert texts(online["hub:me/splits:test+train",]) == ["b", "a"]
    assert texts(online["hub:me/configs/two",]) == texts(online["hub:me/configs/two:train",]) == ["y"]
    assert texts(online["hub:me/table@v1.0",]) == ["as it was"]


def test_only_the_hub_is_asked(online: dict[Any, Any], hub: DatasetHub) -> None:
    assert online["hosts"] == ["127.0.0.1"]


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        (
            "hub:me/splits",
            "UnreadableFile",
            "has 2 splits.\nThere are: train, test.\nNext: pass hub:me/splits:train, or",
        ),
        ("hub:me/splits:validation", "UnreadableFile", "has no split 'validation'"),
        ("hub:me/configs", "UnreadableFile", "has 2 configurations.\nThere are: one, two."),
        ("hub:me/configs/three", "UnreadableFile", "has no configuration 'three'"),
        ("hub:me/table@v9", "SourceError", "has no revision v9"),
        ("hub:me/nothing", "SourceError", "There is no dataset me/nothing"),
        ("hub:me/hidden", "SourceError", "or it is private"),
        ("hub:me/gated", "SourceError", "is gated"),
        ("hub:me/broken", "NetworkTrouble", "did not hand out me/broken"),
        ("hub:me/dropped", "NetworkTrouble", "did not hand out me/dropped"),
        ("hub:me/script", "UnreadableFile", "needs code of its own"),
        ("hub:me/empty", "UnreadableFile", "holds no table of posts"),
        ("hub:me/damaged", "UnreadableFile", "JSON parse error"),
        ("hub:me/different", "UnreadableFile", "could not be read"),
        ("hub:me/header", "UnreadableFile", "could not be read"),
        ("hub:me/outside", "UnreadableFile", "don't belong to me/outside"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_the_next_command(
    online: dict[Any, Any], spec: str, error: str, said: str
) -> None:
    result = online[spec,]
    assert result["error"] == error
    assert said in result["said"]
    assert "\nNext: " in result["said"]


def test_the_token_is_the_hubs_own_login(online: dict[Any, Any]) -> None:
    assert texts(online["hub:me/private",]) == ["secret"]
    assert TOKEN not in json.dumps(list(online.values()))


def test_what_was_read_once_is_read_offline_and_nothing_is_asked(offline: dict[Any, Any], hub: DatasetHub) -> None:
    assert texts(offline["hub:me/table",]) == ["hello", "more"]
    assert texts(offline["hub:me/table@v1.0",]) == ["as it was"]
    assert offline["hub:me/parquet",]["pages"] == [0, 1000, 1000, 475]
    assert "is not asked" in offline["hub:me/table",]["told"][0]
    for spec in ("hub:me/nothing", "hub:me/table@v2.0", "hub:me/configs/one"):
        assert offline[spec,]["error"] == "NetworkTrouble"
        assert "HF_HUB_OFFLINE" in offline[spec,]["said"]
    assert hub.log == []


# --- before anything is asked ------------------------------------------------------------------------------------


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SourceError, match=r"pip install 'huggingtweets\[datasets\]'"):
        list(recognise("hub:me/table", ImportSettings()).pages())


def test_a_word_of_consent_comes_before_the_first_request(tmp_path: Path) -> None:
    source = recognise("hub:me/alice", ImportSettings())
    assert source.handle == "alice"
    with pytest.raises(ConsentMissing, match="--mine"):
        ask_first(source, Word(), tmp_path)
    ask_first(source, Word(permission="Alice said so, May 2026"), tmp_path)


def test_the_fingerprint_follows_name_and_settings() -> None:
    prints = {
        recognise(spec, ImportSettings(author=author)).fingerprint()
        for spec in ("hub:me/a", "hub:me/b", "hub:me/a:train")
        for author in (None, "ann")
    }
    assert len(prints) == 6


def test_a_name_is_written_as_it_is_read() -> None:
    name = DatasetName("me", "po.sts", config="con-fig", revision="refs/pr/1", split="train+test")
    assert dataset_named(str(name)) == name
    assert dataset_named("datasets/me/po.sts") == DatasetName("me", "po.sts")
