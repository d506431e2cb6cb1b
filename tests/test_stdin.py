"""Standard input as a source: what is piped in is read like the file that it makes up, and leaves nothing behind."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from archives import Archive, tweet
from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Post
from huggingtweets.sources import open_path
from huggingtweets.sources.files import stdin
from huggingtweets.sources.files.stdin import StandardInput

READ = """
import json, sys
from huggingtweets.config import ImportSettings
from huggingtweets.sources import recognise
source = recognise("-", ImportSettings())
posts = [post.text for page in source.pages() for post in page.posts]
print(json.dumps([source.spec, source.handle, source.origin.kind, posts]))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def piped(content: str | bytes, **options: str) -> StandardInput:
    stream = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return StandardInput(ImportSettings(**options), open_path, stream)  # type: ignore[arg-type]


def posts_of(source: StandardInput) -> list[Post]:
    return [post for page in source.pages() for post in page.posts]


# --- what is read ------------------------------------------------------------------------------------------------


def test_a_pipe_gives_what_the_file_gives(temporary: Path, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": str(n), "text": f"post {n}", "user": "Alice"}) + "\n" for n in range(2500))
    (tmp_path / "posts.jsonl").write_text(lines)
    from_file = list(open_path(str(tmp_path / "posts.jsonl"), ImportSettings()).pages())
    for content in (lines.encode(), gzip.compress(lines.encode())):
        source = piped(content)
        assert [page.posts for page in source.pages()] == [page.posts for page in from_file]
        assert (source.spec, source.handle, source.origin.kind) == ("-", "Alice", "file")


def test_a_whole_archive_may_be_piped_in(temporary: Path, tmp_path: Path) -> None:
    path = Archive([tweet(1, "hello"), tweet(2, "more")]).zip(tmp_path / "archive.zip")
    source = piped(path.read_bytes())
    assert [post.text for post in posts_of(source)] == ["hello", "more"]
    assert source.origin.kind == "export"
    assert source.handle == open_path(str(path), ImportSettings()).handle


def test_the_handle_is_the_users_else_the_datas_else_stdin(temporary: Path) -> None:
    assert piped("hello\n").handle == "stdin"
    assert piped("hello\n", handle="@alice").handle == "alice"
    assert piped("user,text\nbob,hello\n").handle == "bob"
    assert piped("user,text\nbob,hello\neve,hi\n", author="eve").handle == "eve"


def test_the_fingerprint_follows_content_and_settings(temporary: Path) -> None:
    first = piped("hello\n").fingerprint()
    assert piped("hello\n").fingerprint() == first
    assert len({first, piped("hello!\n").fingerprint(), piped("hello\n", handle="x").fingerprint()}) == 3


def test_the_pipe_is_read_once_however_often_the_source_is_opened(temporary: Path) -> None:
    stream = cast(BinaryIO, io.BytesIO(b"id,body_of_it\n1,hello\n"))
    opened = [StandardInput(ImportSettings(text_column=column), open_path, stream) for column in (None, "body_of_it")]
    assert opened[0].handle == "stdin"
    assert [post.text for post in posts_of(opened[1])] == ["hello"]


# --- what is left behind -----------------------------------------------------------------------------------------


def test_nothing_is_left_once_the_posts_are_read(temporary: Path) -> None:
    source = piped("user,text\nbob,hello\n")
    before = source.handle, source.origin, source.fingerprint()
    assert len(list(temporary.iterdir())) == 1
    assert len(posts_of(source)) == 1
    assert list(temporary.iterdir()) == []
    assert (source.handle, source.origin, source.fingerprint()) == before


@pytest.mark.parametrize("content", ["id,foo\n1,hello\n", b"\0\1\2\3" * 100, ""])
def test_nothing_is_left_of_what_can_not_be_read(temporary: Path, content: str | bytes) -> None:
    with pytest.raises(SourceError):
        posts_of(piped(content))
    gc.collect()
    assert list(temporary.iterdir()) == []


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_errors_speak_of_standard_input_and_not_of_a_temporary_file(temporary: Path) -> None:
    for content, said in (
        ("id,foo\n1,hello\n", r"^No column of standard input is known"),
        ('{"text": "one"}\n{"text": oops}\n', r"^Standard input is damaged at line 2"),
        (b"%PDF-1.7", r"^Standard input is a PDF"),
        ("user,text\nbob,hello\neve,hi\n", r"^Standard input holds posts by 2 accounts"),
    ):
        with pytest.raises(UnreadableFile, match=said) as caught:
            posts_of(piped(content))
        assert str(temporary) not in str(caught.value)


def test_an_empty_pipe_is_an_error_with_an_example(temporary: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"Nothing came through standard input(.|\n)*create -"):
        posts_of(piped(""))


def test_nothing_connected_is_an_error(temporary: Path) -> None:
    closed = io.BytesIO()
    closed.close()
    for stream in (None, closed):
        with pytest.raises(UnreadableFile, match="Nothing is piped"):
            posts_of(StandardInput(ImportSettings(), open_path, stream))  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_terminal_is_not_waited_for(temporary: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        with (
            open(theirs, "rb", closefd=False) as stream,
            pytest.raises(UnreadableFile, match="Nothing is piped"),
        ):
            posts_of(StandardInput(ImportSettings(), open_path, stream))
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_without_end_is_given_up_on(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def, override]
            buffer[:] = b"y" * len(buffer)
            return len(buffer)

    monkeypatch.setattr(stdin, "LARGEST_BYTES", 3 << 20)
    with pytest.raises(UnreadableFile, match=r"More than 3 MB(.|\n)*as a file"):
        posts_of(StandardInput(ImportSettings(), open_path, cast(BinaryIO, io.BufferedReader(Endless()))))
    assert list(temporary.iterdir()) == []


def test_a_pipe_that_breaks_is_an_error(temporary: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match="Standard input broke off"):
        posts_of(StandardInput(ImportSettings(), open_path, Broken()))  # type: ignore[arg-type]


def test_a_real_pipe_is_read_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", READ], input=b"one\ntwo\n", capture_output=True, env=environment)
    assert json.loads(done.stdout) == ["-", "stdin", "file", ["one", "two"]], done.stderr
    assert list(tmp_path.iterdir()) == []
