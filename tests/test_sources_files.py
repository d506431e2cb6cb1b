"""Files as a source: every row comes out as a post or is counted, and no file does worse than an error that helps."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
import tarfile
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnknownSource, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources import Source, recognise, tally
from huggingtweets.sources.files import decoding, jsons, opening, tables
from huggingtweets.sources.files.file import FileSource
from huggingtweets.sources.mastodon.posts import BOOSTS, PRIVATE
from huggingtweets.sources.values import parse_id, parse_time
from results import Result

EXAMPLES = Path(__file__).parent.parent / "examples"
NASA = EXAMPLES / "nasa.csv"
MOMENT = datetime(2018, 4, 19, 15, 48, 38, tzinfo=UTC)


def read_path(path: Path, **options: Any) -> Result:
    return Result(list(recognise(str(path), ImportSettings(**options)).pages()))


class Reader:
    """Writes a file and reads it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, content: str | bytes, name: str = "posts.txt", **options: Any) -> Result:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_path(path, **options)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def v1(text: str, **changes: Any) -> dict[str, Any]:
    user = {
        "id": 42,
        "id_str": "42",
        "name": "A &amp; B",
        "screen_name": "ab",
        "description": "Bread",
        "protected": False,
    }
    return {
        "created_at": "Thu Apr 19 15:48:38 +0000 2018",
        "id": 1890000000000000003,
        "id_str": "1890000000000000003",
        "full_text": text,
        "retweeted": False,
        "lang": "en",
        "user": user,
        **changes,
    }


def v2(text: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "1890000000000000003",
        "text": text,
        "author_id": "42",
        "created_at": "2018-04-19T15:48:38.000Z",
        **changes,
    }


# --- the example ------------------------------------------------------------------------------------------------


def test_the_nasa_example_has_its_known_counts() -> None:
    result = read_path(NASA)
    assert Counter(result.kinds) == {"original": 2089, "repost": 770, "reply": 341}
    assert result.losses == {}
    assert len({post.id for post in result.posts}) == 3200
    assert all(post.created_at for post in result.posts)
    assert result.posts[0].id == "658666768454565888"
    assert result.posts[0].created_at == datetime(2015, 10, 26, 15, 29, 29, tzinfo=UTC)
    assert result.account == Account("nasa", "file")


def test_pages_hold_a_thousand_posts_and_say_how_far_they_got() -> None:
    pages = read_path(NASA).pages
    assert [len(page.posts) for page in pages] == [1000, 1000, 1000, 200]
    fractions = [page.fraction for page in pages]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [page.account is None for page in pages] == [False, True, True, True]


def test_the_same_posts_come_out_of_every_format(tmp_path: Path) -> None:
    with NASA.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:300]
    expected = [(row["text"], row["tweet_id"]) for row in rows]
    written = {
        "a.json": json.dumps(rows).encode(),
        "indented.json": json.dumps(rows, indent=2).encode(),
        "b.jsonl": jsonl(*rows).encode(),
        "c.json": json.dumps({"exported": "2015", "posts": rows}).encode(),
    }
    for separator, name in ((",", "d.csv"), ("\t", "e.tsv"), (";", "f.csv"), ("|", "g.csv")):
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
        written[name] = out.getvalue().encode()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "h.parquet")
    written["h.parquet"] = (tmp_path / "h.parquet").read_bytes()
    for name, content in written.items():
        names = [name] if name.endswith("parquet") else [name, name + ".gz"]
        for written_name in names:
            path = tmp_path / written_name
            path.write_bytes(gzip.compress(content) if written_name.endswith("gz") else content)
            result = read_path(path)
            assert [(post.text, post.id) for post in result.posts] == expected, written_name
            assert result.losses == {}, written_name


def test_the_format_is_found_by_content_and_not_by_name(read: Reader) -> None:
    assert read("id,text\n1,hello\n", "posts.json").texts == ["hello"]
    assert read('{"text": "hello"}\n', "posts.csv").texts == ["hello"]
    assert read(gzip.compress(b"id,text\n1,hello\n"), "posts.txt").texts == ["hello"]
    assert read("just a line\n", "posts.parquet").texts == ["just a line"]


# --- plain text or a table ---------------------------------------------------------------------------------------


def test_sentences_with_commas_are_plain_text(read: Reader) -> None:
    lines = ["Hello, world", "It rains, alas", "One, two", "Three, four", "Five, six", "Seven, eight"]
    assert read("\n".join(lines)).texts == lines


@pytest.mark.parametrize(
    "first", ["Text, please", "Post early, post often", "Date: today", "{sigh} Mondays", "[NASA] says hi"]
)
def test_a_sentence_that_looks_like_a_header_or_json_is_plain_text(read: Reader, first: str) -> None:
    lines = [first, "A second line; with a semicolon", "A third | with a bar", "And a fourth, with, commas"]
    assert read("\n".join(lines)).texts == lines


def test_plain_text_skips_blank_lines_and_keeps_written_newlines(read: Reader) -> None:
    assert read("one\\ntwo\r\n\r\n   \r\nthree\u2028four\n").texts == ["one\\ntwo", "three\u2028four"]


def test_a_quoted_column_without_a_header_is_unquoted(read: Reader) -> None:
    assert read('"Hello, world"\n"He said ""hi"""\n').texts == ["Hello, world", 'He said "hi"']


def test_a_single_column_is_not_split_at_its_commas(read: Reader) -> None:
    result = read('text\nHello, world\n"Quoted, ""twice"""\n')
    assert result.texts == ["Hello, world", 'Quoted, "twice"']
    assert result.losses == {}


def test_column_names_are_compared_without_case_and_spaces(read: Reader) -> None:
    assert read("Tweet ID,Tweet Text\n7,hi\n").posts == [Post("hi", "posts", id="7")]


def test_full_text_goes_before_text(read: Reader) -> None:
    assert read("text,full_text\nshort…,long enough\n").texts == ["long enough"]


def test_the_text_column_can_be_named(read: Reader) -> None:
    assert read("id;Inhalt\n1;Guten Tag\n", text_column="Inhalt").texts == ["Guten Tag"]
    assert read(jsonl({"Inhalt": "Guten Tag"}), text_column="inhalt").texts == ["Guten Tag"]


def test_an_unknown_text_column_is_an_error_that_lists_the_columns(read: Reader) -> None:
    for content, options in (
        ("id,Inhalt,date\n1,Guten Tag,2018-01-01\n", {}),
        ("id,text,date\n1,Hello,2018-01-01\n", {"text_column": "Inhalt"}),
        (jsonl({"id": 1, "date": "2018-01-01"}), {}),
        (jsonl({"id": 1, "text": "hi", "date": "2018-01-01"}), {"text_column": "Inhalt"}),
    ):
        with pytest.raises(UnreadableFile, match=r"Columns seen: id, .*date(.|\n)*--text-column"):
            read(content, **options)


@pytest.mark.parametrize("table", ["a,b\n1,2\n", "name,age\nbob,3\neve,4\n", "title;by\nA nice book;Bob\n'x; y';Eve\n"])
def test_a_small_table_without_a_known_column_lists_its_columns(read: Reader, table: str) -> None:
    with pytest.raises(UnreadableFile, match="Columns seen: "):
        read(table.replace("'", '"'))


def test_a_text_column_for_plain_text_is_an_error(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match="plain text"):
        read("hello\nworld\n", text_column="text")


def test_a_table_without_a_header_is_not_mistaken_for_sentences(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match="lacks a first line"):
        read("".join(f'{10**17 + n},"Hello, number {n}",2018-01-0{n}\n' for n in range(1, 8)))


# --- damaged tables ----------------------------------------------------------------------------------------------


def test_surplus_cells_are_joined_in_the_text(read: Reader) -> None:
    result = read("id,text,lang\n1,Hello, dear, world,en\n2,fine,en\n")
    assert [(post.id, post.text, post.lang) for post in result.posts] == [
        ("1", "Hello, dear, world", "en"),
        ("2", "fine", "en"),
    ]
    assert result.losses == {tally.TOO_MANY_CELLS: 1}


def test_short_rows_are_used_as_far_as_they_go(read: Reader) -> None:
    result = read("id,text,lang\n1,Hello\n2\n3,fine,en\n")
    assert result.texts == ["Hello", "fine"]
    assert result.losses == {tally.TOO_FEW_CELLS: 2, tally.NO_TEXT: 1}
    assert result.rows == 3


def test_padding_at_the_end_of_rows_is_no_loss(read: Reader) -> None:
    assert read("id,text\n1,Hello,,,\n").losses == {}


def test_an_unclosed_quote_costs_only_its_own_line(read: Reader) -> None:
    rows = "".join(f"{n},plain {n},en\n" for n in range(2000))
    result = read(f'id,text,lang\n9,"never closed,en\n{rows}')
    assert result.texts == ["never closed", *(f"plain {n}" for n in range(2000))]
    assert result.losses == {tally.OPEN_QUOTES: 1}


def test_a_file_that_ends_inside_a_quoted_text_keeps_that_text(read: Reader) -> None:
    result = read('id,text\n1,fine\n2,"two lines\nand the end')
    assert result.texts == ["fine", "two lines\nand the end"]
    assert result.losses == {tally.OPEN_QUOTES: 1}


def test_bare_carriage_returns_stay_inside_their_cell(read: Reader) -> None:
    result = read(b'id,text,n\n1,"one\rtwo",3\n2,three\rfour,5\n')
    assert result.texts == ["one\ntwo", "three\nfour"]


def test_a_file_from_an_old_mac_ends_its_lines_with_carriage_returns(read: Reader) -> None:
    assert read(b"id,text\r1,one\r2,two\r").texts == ["one", "two"]
    assert read(b"one\rtwo\r").texts == ["one", "two"]


def test_nul_characters_are_removed_and_counted(read: Reader) -> None:
    result = read(b"id,text\n1,he\0llo there and everywhere\n")
    assert result.texts == ["hello there and everywhere"]
    assert result.losses == {tally.NULS: 1}


def test_blank_texts_are_counted(read: Reader) -> None:
    result = read("id,text\n1,\n2,   \n3,hi\n")
    assert result.losses == {tally.NO_TEXT: 2}
    assert result.rows == 3


def test_lines_too_long_for_a_post_are_counted(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * (3 << 20)
    assert read(f"short\n{long}\nend").losses == {tally.TOO_LONG: 1}
    assert read(f"id,text\n1,{long}\n2,hi\n").losses == {tally.TOO_LONG: 1}


@pytest.mark.parametrize("content", ["", " \n\n", "\ufeff", b"\xff\xfe", "id,text\n", "[]", "{}\n"])
def test_a_file_without_posts_is_an_error(read: Reader, content: str | bytes) -> None:
    with pytest.raises(UnreadableFile):
        read(content)


# --- encodings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_read_without_a_word(read: Reader, encoding: str) -> None:
    text = "Zoë’s 👩‍🚀 costs 5 €, she says"
    mark = "\ufeff" if encoding in ("utf-16-le",) else ""
    result = read(f'{mark}id,text\n1,"{text}"\n'.encode(encoding))
    assert result.texts == [text]
    assert result.losses == {}


def test_windows_text_is_read_and_reported(read: Reader) -> None:
    result = read("id,text\n1,Zoë’s café — 5 €\n".encode("cp1252"))
    assert result.texts == ["Zoë’s café — 5 €"]
    assert list(result.losses.values()) == [5]


def test_mac_text_is_read_and_reported(read: Reader) -> None:
    result = read("id,text\n1,À Genève l’été garçon où\n".encode("mac_roman"))
    assert result.texts == ["À Genève l’été garçon où"]
    assert any("Mac Roman" in what for what in result.losses)


def test_a_stray_byte_does_not_spoil_a_utf8_file(read: Reader) -> None:
    result = read("one – two – three\n".encode() + b"caf\xe9\n")
    assert result.texts == ["one – two – three", "café"]
    assert list(result.losses.values()) == [1]


def test_text_that_went_twice_through_a_mac_is_repaired(read: Reader) -> None:
    content = (
        b"created_at,text,user\n"
        b'10/16/17 22:59,"they\xe4\xf3\xbbve done nothing\xe4\xf3\xeeuntil now\xe4\xf3_\rma\xed\xb1ana",BarackObama\n'
        b"2/1/15 9:05,\xe4\xf3\xecMAJOR _\xf4\xee\xef ALERT!\xe4\xf3\x9d \xe4\xca\xcd here,BarackObama\n"
    )
    result = read(content)
    assert result.texts == ["they’ve done nothing—until now…\nmañana", "“MAJOR 🔑 ALERT!” → here"]
    assert result.posts[0].created_at == datetime(2017, 10, 16, 22, 59, tzinfo=UTC)
    assert result.account.handle == "BarackObama"
    assert list(result.losses.values()) == [8]


def test_the_repair_undoes_what_two_macs_do() -> None:
    def once(data: bytes) -> bytes:
        return b"".join(
            bytes([byte]) if byte in b"\x81\x8d\x8f\x90\x9d" else bytes([byte]).decode("cp1252").encode("mac_roman")
            for byte in data
        )

    for text in ("’", "“", "”", "—", "–", "→", "é", "ñ", "✓", "⬆", "😂", "한"):
        try:
            damaged = once(once(text.encode()))
        except UnicodeEncodeError:
            continue  # became "_", which is not always to be undone
        assert decoding._undo_two_macs(damaged) == text


def test_pieces_are_cut_only_between_characters() -> None:
    data = "日本語のテキスト、とても長い👩‍🚀".encode()
    for size in range(1, 9):
        pieces = list(decoding.whole_characters(data[i : i + size] for i in range(0, len(data), size)))
        assert b"".join(pieces) == data
        assert "".join(piece.decode() for piece in pieces) == data.decode()


# --- ids, times, kinds -------------------------------------------------------------------------------------------


def test_ids_are_exact_or_absent(read: Reader) -> None:
    result = read('id,text\n9.22E+17,a b c\n920061541986250758,d e f\n"6,58667E+17",g h i\n,j k l\n')
    assert [post.id for post in result.posts] == [None, "920061541986250758", None, None]
    assert result.losses == {tally.RUINED_IDS: 2}
    assert read('{"id": 9007199254740993, "text": "hi"}\n').posts[0].id == "9007199254740993"
    assert read('{"id": 9.2e17, "text": "hi"}\n').losses == {tally.RUINED_IDS: 1}
    assert parse_id("12.0") == "12"
    assert parse_id("920061541986250758.0") is None


@pytest.mark.parametrize(
    "written",
    [
        "2018-04-19T15:48:38Z",
        "2018-04-19T15:48:38.000Z",
        "2018-04-19T17:48:38+02:00",
        "2018-04-19 15:48:38 +0000",
        "2018-04-19 15:48:38",
        "2018-04-19 15:48:38+00:00",
        "Thu Apr 19 15:48:38 +0000 2018",
        "Thu Apr 19 11:48:38 -0400 2018",
        "04-19-2018 15:48:38",
        "4/19/2018 3:48:38 PM",
        "4/19/18 15:48:38",
        "1524152918",
        "1524152918000",
        1524152918,
        1524152918.0,
        1524152918000,
    ],
)
def test_every_form_of_time_is_the_same_moment(written: str | float) -> None:
    assert parse_time(written) == MOMENT


@pytest.mark.parametrize(
    "written", ["yesterday", "31/12/17 10:00", "", "0", "-5", float("nan"), 10**400, True, "9" * 300]
)
def test_a_time_in_another_form_is_none(written: object) -> None:
    assert parse_time(written) is None


def test_unreadable_times_are_counted(read: Reader) -> None:
    result = read("id,text,date\n1,hi there,yesterday\n2,hello,\n")
    assert [post.created_at for post in result.posts] == [None, None]
    assert result.losses == {tally.UNREAD_TIMES: 1}


@pytest.mark.parametrize("flag", ["t", "true", "True", "1", "TRUE"])
@pytest.mark.parametrize("column", ["is_retweet", "isRetweet", "retweeted"])
def test_flagged_reposts_are_reposts(read: Reader, column: str, flag: str) -> None:
    result = read(f"id,text,{column}\n1,their words,{flag}\n2,RT @b: typed by hand,f\n")
    assert result.kinds == ["repost", "original"]


def test_an_unflagged_rt_is_a_repost_where_nothing_marks_reposts(read: Reader) -> None:
    assert read("id,text\n1,RT @b: theirs\n2,mine\n").kinds == ["repost", "original"]
    assert read("RT @b: theirs\nmine\n").kinds == ["repost", "original"]


def test_the_readers_own_retweeted_flag_marks_nothing_when_it_is_always_false(read: Reader) -> None:
    assert read(jsonl(v1("RT @b: theirs"), v1("mine"))).kinds == ["repost", "original"]


def test_the_readers_own_retweeted_flag_marks_nothing_when_it_is_true(read: Reader) -> None:
    assert read(jsonl(v1("mine", retweeted=True), v1("RT @b: theirs"))).kinds == ["original", "repost"]


def test_a_file_that_marks_reposts_keeps_handmade_ones(read: Reader) -> None:
    records = (v1("RT @b: theirs", retweeted_status={"id_str": "1"}), v1("RT @b: typed by hand"))
    assert read(jsonl(*records)).kinds == ["repost", "original"]


def test_replies_and_quotes_are_told_apart(read: Reader) -> None:
    records = (
        v1("@b yes", in_reply_to_user_id_str="7"),
        v1("look", is_quote_status=True),
        v1("plain", in_reply_to_user_id_str=None, in_reply_to_status_id=None),
    )
    assert read(jsonl(*records)).kinds == ["reply", "quote", "original"]
    assert read("id,text,in_reply_to_user_id\n1,@b yes,7.0\n2,no,nan\n").kinds == ["reply", "original"]


# --- exports -----------------------------------------------------------------------------------------------------


def test_the_trump_archives_of_both_versions_are_read(read: Reader) -> None:
    first = {"source": "x", "id_str": "98", "text": "Great &amp; good", "created_at": "Thu Apr 19 15:48:38 +0000 2018"}
    rows = [{**first, "is_retweet": False}, {**first, "id_str": "99", "is_retweet": True}]
    expected = [("98", "original"), ("99", "repost")]
    header = "id,text,isRetweet,isDeleted,device,favorites,retweets,date,isFlagged\n"
    body = (
        '98,"Great &amp; good",f,f,x,1,1,2018-04-19 15:48:38,f\n99,"Great &amp; good",t,f,x,1,1,2018-04-19 15:48:38,f\n'
    )
    for content in (json.dumps(rows), header + body):
        result = read(content)
        assert [(post.id, post.kind) for post in result.posts] == expected
        assert {post.created_at for post in result.posts} == {MOMENT}
        assert {post.text for post in result.posts} == {"Great &amp; good"}


def test_the_oldest_x_archive_table_is_read(read: Reader) -> None:
    result = read(
        '"tweet_id","in_reply_to_status_id","in_reply_to_user_id","timestamp","source","text","retweeted_status_id"\n'
        '"1","","","2018-04-19 15:48:38 +0000","web","mine",""\n'
        '"2","","","2018-04-19 15:48:38 +0000","web","RT @b: theirs","77"\n'
        '"3","5","6","2018-04-19 15:48:38 +0000","web","@b yes",""\n'
    )
    assert result.kinds == ["original", "repost", "reply"]
    assert result.posts[0].created_at == MOMENT


def test_v1_posts_give_text_author_and_language(read: Reader) -> None:
    record = v1("short…", extended_tweet={"full_text": "the whole text"})
    result = read(jsonl(record))
    assert result.account == Account("ab", "file", display_name="A & B", bio="Bread")
    assert result.posts == [
        Post("the whole text", "ab", id="1890000000000000003", created_at=MOMENT, lang="en", html_escaped=True)
    ]


@pytest.mark.parametrize(
    ("note", "references"), [("note_tweet", "referenced_tweets"), ("note_post", "referenced_posts")]
)
def test_v2_pages_are_read_in_both_vocabularies(read: Reader, note: str, references: str) -> None:
    page = {
        "data": [
            v2("short…", **{note: {"text": "the whole note"}}),
            v2("RT @b: theirs", **{references: [{"type": "retweeted", "id": "1"}]}),
            v2("this", **{references: [{"type": "quoted", "id": "1"}]}),
            v2("@b yes", **{references: [{"type": "quoted", "id": "1"}, {"type": "replied_to", "id": "2"}]}),
            v2("RT @b: typed by hand"),
        ],
        "includes": {"users": [{"id": "42", "name": "AB", "username": "ab"}, {"id": "7", "username": "b"}]},
        "meta": {"result_count": 5},
    }
    result = read(jsonl(page, {"meta": {"result_count": 0}}))
    assert result.texts[0] == "the whole note"
    assert result.kinds == ["original", "repost", "quote", "reply", "original"]
    assert result.account == Account("ab", "file", display_name="AB")
    assert result.losses == {tally.NOTICES: 1}
    assert read(json.dumps(page, indent=1)).texts == result.texts
    assert read(json.dumps([page], indent=1)).texts == result.texts


def test_flattened_v2_posts_are_read(read: Reader) -> None:
    author = {"id": "42", "username": "ab", "name": "AB", "description": "Bread", "protected": True}
    record = v2("hello", author=author, referenced_tweets=[{"type": "replied_to", "id": "1", "text": "theirs"}])
    result = read(jsonl(record))
    assert result.account == Account("ab", "file", display_name="AB", bio="Bread", protected=True)
    assert result.kinds == ["reply"]


def test_notices_are_skipped_and_counted(read: Reader) -> None:
    notices = ({"delete": {"status": {"id": 1}}}, {"limit": {"track": 3}}, {"errors": [{"detail": "User is gone."}]})
    result = read(jsonl(v1("hi"), *notices))
    assert result.texts == ["hi"]
    assert result.losses == {tally.NOTICES: 3}


def test_several_documents_and_nested_arrays_are_opened(read: Reader) -> None:
    assert read('{\n "text": "one"\n}\n{\n "text": "two"\n}\n').texts == ["one", "two"]
    assert read('[[{"text": "one"}], [{"text": "two"}]]').texts == ["one", "two"]
    assert read('["one", "two"]').texts == ["one", "two"]
    assert read(jsonl({"tweet": {"full_text": "one", "id_str": "1"}})).texts == ["one"]


def test_other_entries_in_an_array_are_counted(read: Reader) -> None:
    result = read('[{"text": "one"}, 5, null, [], {"text": 7}]')
    assert result.texts == ["one", "7"]
    assert result.losses == {tally.NOT_POSTS: 2}


def test_what_a_server_said_went_wrong_is_no_post(read: Reader) -> None:
    result = read(jsonl(v1("hi"), {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, {"error": "Gone"}))
    assert result.texts == ["hi"]
    assert result.losses == {tally.NOTICES: 2}


def test_likes_replies_and_threads_are_read_from_every_export(read: Reader) -> None:
    flat = {"in_reply_to_status_id_str": "7", "in_reply_to_user_id_str": "42", "favorite_count": 3}
    page = {
        "data": [
            v2(
                "and",
                in_reply_to_user_id="42",
                public_metrics={"like_count": 3},
                referenced_tweets=[{"type": "replied_to", "id": "7"}],
            )
        ],
        "includes": {"users": [{"id": "42", "username": "ab"}]},
    }
    table = "id,text,user_id,in_reply_to_status_id,in_reply_to_user_id,likes\n1,and,42,7,42,3.0\n"
    for content in (jsonl(v1("and", **flat)), json.dumps(page), table):
        (post,) = read(content).posts
        assert (post.kind, post.reply_to, post.self_reply, post.likes) == ("reply", "7", True, 3), content
    (other,) = read(table.replace("7,42,3.0", "7,43,many")).posts
    assert (other.kind, other.self_reply, other.likes) == ("reply", False, None)


# --- saved answers of other networks -----------------------------------------------------------------------------

DID, OTHER_DID = "did:plc:alicealicealicealicealic", "did:plc:bobbobbobbobbobbobbobbob"
ALICE = {
    "did": DID,
    "handle": "alice.example",
    "displayName": "Alice",
    "labels": [{"src": DID, "val": "!no-unauthenticated"}],
}
BOB = {"did": OTHER_DID, "handle": "bob.example"}


def record(text: str, **more: Any) -> dict[str, Any]:
    return {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2018-04-19T15:48:38Z", "langs": ["en"], **more}


def entry(text: str, key: str, author: dict[str, Any] = ALICE, reason: object = None, **more: Any) -> dict[str, Any]:
    uri = f"at://{author['did']}/app.bsky.feed.post/{key}"
    post = {"uri": uri, "cid": "bafy", "author": author, "record": record(text, **more), "likeCount": 3}
    return {"post": post} | ({"reason": reason} if reason else {})


def feed() -> list[dict[str, Any]]:
    """An original, a reply to oneself, a quote, and a repost of Bob's words."""
    parent = f"at://{DID}/app.bsky.feed.post/3a"
    quoted = {"$type": "app.bsky.embed.record", "record": {"uri": f"at://{OTHER_DID}/app.bsky.feed.post/3z"}}
    repost = {"$type": "app.bsky.feed.defs#reasonRepost", "by": ALICE, "indexedAt": "2018-04-20T00:00:00Z"}
    return [
        entry("Bread &amp; butter", "3a"),
        entry("and more", "3b", reply={"parent": {"uri": parent}, "root": {"uri": parent}}),
        entry("this", "3c", embed=quoted),
        entry("Bob's words", "3d", BOB, repost),
    ]


def status(number: int, content: str, *, account: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    baker = {
        "id": "109",
        "username": "bakery",
        "acct": "bakery",
        "url": "https://social.example/@bakery",
        "uri": "https://social.example/users/bakery",
        "display_name": "A Bakery :bread:",
        "note": "<p>Bread &amp; more</p>",
        "noindex": True,
    }
    return {
        "id": str(number),
        "created_at": "2018-04-19T15:48:38.000Z",
        "content": content,
        "visibility": "public",
        "account": account or baker,
        "language": "en",
        "favourites_count": 3,
        "reblog": None,
        **more,
    }


def statuses() -> list[dict[str, Any]]:
    """An original, a reply to oneself behind a warning, a boost, and two that nobody may use."""
    return [
        status(3, "<p>Bread &amp; butter</p>"),
        status(2, "<p>and more</p>", in_reply_to_id="3", in_reply_to_account_id="109", spoiler_text="food"),
        status(4, "<p>Bob's words</p>", reblog={"id": "9", "content": "<p>Bob's words</p>"}),
        status(5, "<p>for followers</p>", visibility="private"),
        status(6, "<p>for one</p>", visibility="direct"),
    ]


def in_all_forms(items: list[Any], *pages: object) -> list[str]:
    """As an array, a line each, and inside whatever pages the network has."""
    forms = [json.dumps(items), json.dumps(items, indent=1), jsonl(*items)]
    return forms + [form for page in pages for form in (json.dumps(page, indent=1), jsonl(page, page_of_nothing(page)))]


def page_of_nothing(page: Any) -> dict[str, Any]:
    return {name: [] for name, value in page.items() if isinstance(value, list)}


def test_a_saved_feed_of_bluesky_is_read_as_the_live_one(read: Reader) -> None:
    for content in in_all_forms(feed(), {"feed": feed(), "cursor": "x"}):
        result = read(content)
        assert result.kinds == ["original", "reply", "quote", "repost"], content
        assert result.losses == {}
        first, second = result.posts[:2]
        assert first == Post(
            "Bread &amp; butter",
            "alice.example",
            id=f"at://{DID}/app.bsky.feed.post/3a",
            created_at=MOMENT,
            lang="en",
            html_escaped=False,
            likes=3,
        )
        assert (second.reply_to, second.self_reply) == (first.id, True)


def test_whoever_asks_on_bluesky_not_to_be_shown_asks_in_a_file_too(read: Reader) -> None:
    account = read(json.dumps({"feed": feed()})).account
    assert (account.handle, account.platform, account.display_name, account.id) == (
        "alice.example",
        "bluesky",
        "Alice",
        DID,
    )
    assert list(account.signals) == ["no_unauthenticated"]


def test_a_profile_among_the_posts_says_who_they_are(read: Reader) -> None:
    profile = {**ALICE, "description": "Baker. #NoAI", "postsCount": 4}
    for lines in ([profile, *feed()], [*feed(), profile]):
        result = read(jsonl(*lines))
        assert result.account.bio == "Baker. #NoAI"
        assert len(result.posts) == 4
        assert result.losses == {}


def test_views_records_and_bare_records_of_bluesky_are_read(read: Reader) -> None:
    views = [item["post"] for item in feed()[:3]]
    rows = [{"uri": view["uri"], "cid": "b", "value": view["record"]} for view in views]
    for content in in_all_forms(views, {"posts": views}) + in_all_forms(rows, {"records": rows, "cursor": "x"}):
        result = read(content, "saved.json")
        assert result.kinds == ["original", "reply", "quote"]
        assert result.posts[1].self_reply
        assert result.account.id == DID
    assert read(json.dumps({"records": rows}), "saved.json").account.handle == "saved"
    assert read(jsonl(record("one"), record("two"))).texts == ["one", "two"]
    likes = {"uri": f"at://{DID}/app.bsky.feed.like/3a", "value": {"$type": "app.bsky.feed.like", "subject": {}}}
    assert read(jsonl(rows[0], likes)).losses == {tally.NOT_POSTS: 1}


def test_a_time_that_is_still_to_come_is_not_believed(read: Reader) -> None:
    result = read(jsonl({"uri": f"at://{DID}/app.bsky.feed.post/3a", "value": record("hi", createdAt="2099-01-01")}))
    assert result.posts[0].created_at is None
    assert result.losses == {tally.UNREAD_TIMES: 1}


def test_saved_statuses_of_mastodon_are_read_as_live_ones(read: Reader) -> None:
    for content in in_all_forms(statuses(), {"statuses": statuses(), "accounts": []}):
        result = read(content)
        assert result.kinds == ["original", "reply"], content
        assert result.losses == {PRIVATE: 2, BOOSTS: 1}
        first, second = result.posts[:2]
        assert first == Post(
            "Bread & butter",
            "bakery@social.example",
            id="3",
            created_at=MOMENT,
            lang="en",
            html_escaped=False,
            likes=3,
        )
        assert (second.reply_to, second.self_reply, second.warning) == ("3", True, "food")


def test_what_an_account_on_mastodon_asks_for_is_heard_in_a_file_too(read: Reader) -> None:
    account = read(jsonl(*statuses())).account
    assert (account.handle, account.platform) == ("bakery@social.example", "mastodon")
    assert account.id == "https://social.example/users/bakery"
    assert (account.display_name, account.bio) == ("A Bakery", "Bread & more")
    assert "noindex" in account.signals


def test_the_outbox_of_an_archive_is_read_from_a_file_of_its_own(read: Reader) -> None:
    public, actor = "https://www.w3.org/ns/activitystreams#Public", "https://social.example/users/bakery"

    def create(number: int, to: str, reply_to: str | None = None) -> dict[str, Any]:
        note = {"type": "Note", "id": f"{actor}/statuses/{number}", "content": f"<p>number {number}</p>", "to": [to]}
        return {"type": "Create", "actor": actor, "object": {**note, "inReplyTo": reply_to}}

    items = [
        create(1, public),
        create(2, public, f"{actor}/statuses/1"),
        create(3, f"{actor}/followers"),
        {"type": "Announce", "actor": actor, "object": "https://other.example/9"},
    ]
    result = read(gzip.compress(jsonl(*items).encode()), "posts.jsonl.gz")
    assert [(post.text, post.kind, post.self_reply) for post in result.posts] == [
        ("number 1", "original", False),
        ("number 2", "reply", True),
    ]
    assert result.account.handle == "bakery@social.example"
    assert result.losses == {PRIVATE: 1, BOOSTS: 1}


def test_authors_of_saved_answers_are_told_apart_by_what_stays(read: Reader) -> None:
    renamed = {**ALICE, "handle": "alice.new.example"}
    mixed = jsonl(entry("one", "3a"), entry("two", "3b", renamed), entry("three", "3c", BOB))
    with pytest.raises(UnreadableFile, match=r"alice\.new\.example \(2\), bob\.example \(1\)"):
        read(mixed)
    assert read(mixed, author="alice.new.example").texts == ["one", "two"]
    assert read(mixed, author=OTHER_DID).texts == ["three"]
    bob = {"id": "7", "username": "bob", "acct": "bob@other.example", "url": "https://other.example/@bob"}
    both = jsonl(status(1, "<p>mine</p>"), status(2, "<p>his</p>", account=bob))
    assert read(both, author="bakery").texts == ["mine"]
    assert read(both, author="@bob@other.example").account.handle == "bob@other.example"


def test_what_is_not_public_is_no_post_in_any_table(read: Reader) -> None:
    header = "id,content,visibility,account,reblog\n"
    rows = '1,"<p>Bread &amp; butter</p>",public,b,\n2,<p>secret</p>,private,b,\n3,<p>theirs</p>,public,b,77\n'
    result = read(header + rows)
    assert [(post.text, post.kind, post.html_escaped) for post in result.posts] == [
        ("Bread & butter", "original", False),
        ("theirs", "repost", False),
    ]
    assert result.losses == {PRIVATE: 1}
    packed = parquet_bytes(pa.table({"text": ["one", "two"], "visibility": ["direct", "public"]}))
    assert read(packed).texts == ["two"]


def test_lone_surrogates_are_replaced_and_emoji_are_not_touched(read: Reader) -> None:
    result = read('{"text": "half \\ud83d an emoji, a whole \\ud83d\\ude00 one"}\n')
    assert result.texts == ["half � an emoji, a whole 😀 one"]
    assert result.losses == {tally.SURROGATES: 1}


# --- bad JSON ----------------------------------------------------------------------------------------------------


def test_a_bad_line_is_named_and_can_be_skipped(read: Reader) -> None:
    content = '{"text": "one"}\n\n{"text": oops}\n{"text": "two"}\n'
    with pytest.raises(UnreadableFile, match=r"line 3(.|\n)*--skip-bad-lines"):
        read(content)
    result = read(content, skip_bad_lines=True)
    assert result.texts == ["one", "two"]
    assert result.losses == {tally.NOT_JSON: 1}


def test_a_bad_first_line_does_not_hide_that_it_is_json_lines(read: Reader) -> None:
    assert read('{"text": oops}\n{"text": "two"}\n', skip_bad_lines=True).texts == ["two"]


def test_an_array_cut_short_is_named_and_what_is_whole_can_be_used(read: Reader) -> None:
    content = '[\n{"text": "one"},\n{"text": "tw'
    with pytest.raises(UnreadableFile, match="line 3"):
        read(content)
    result = read(content, skip_bad_lines=True)
    assert result.texts == ["one"]
    assert result.losses == {tally.UNREAD_REST: 1}


def test_an_array_is_read_in_pieces(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CHUNK_BYTES", 7)
    records = [{"text": f"post {n}, é [brackets] 😀", "n": n} for n in range(50)]
    for content in (json.dumps(records), json.dumps(records, indent=3), jsonl(*records)):
        assert read(content).texts == [record["text"] for record in records]


def test_a_value_too_large_for_memory_is_an_error(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsons, "LONGEST_VALUE_CHARACTERS", 1000)
    monkeypatch.setattr(opening, "CHUNK_BYTES", 100)
    with pytest.raises(UnreadableFile):
        read('[{"text": "' + "x" * 5000 + '"}]')


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '[{"text": "hi", "a": ' + "[" * 50_000])
def test_nesting_without_end_is_an_error(read: Reader, content: str) -> None:
    with pytest.raises(SourceError):
        read(content)


# --- several authors ---------------------------------------------------------------------------------------------


MIXED = "user,text\n@NASA,one\nnasa,two\nesa,three\n,four\n"


def test_several_authors_are_listed(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match=r"nasa \(2\), esa \(1\)(.|\n)*--author"):
        read(MIXED)


@pytest.mark.parametrize("author", ["nasa", "@NASA", "NASA"])
def test_an_author_can_be_chosen(read: Reader, author: str) -> None:
    result = read(MIXED, author=author)
    assert result.texts == ["one", "two"]
    assert result.account.handle == "nasa"
    assert result.losses == {tally.OTHERS: 2}
    assert result.rows == 4


def test_an_author_who_is_not_there_is_an_error(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match=r"no accounts called jaxa(.|\n)*esa \(1\)"):
        read(MIXED, author="jaxa")
    with pytest.raises(UnreadableFile, match="does not say who wrote"):
        read("id,text\n1,hi\n", author="jaxa")


def test_the_only_author_has_the_unnamed_posts_too(read: Reader) -> None:
    assert read("user,text\nesa,three\n,four\n").texts == ["three", "four"]


def test_authors_in_json_are_told_apart_by_id(read: Reader) -> None:
    other = {"id_str": "7", "screen_name": "b", "name": "B"}
    renamed = {"id_str": "42", "screen_name": "ab_new", "name": "A"}
    content = jsonl(v1("one"), v1("two", user=renamed), v1("three", user=other))
    with pytest.raises(UnreadableFile, match=r"ab_new \(2\), b \(1\)"):
        read(content)
    assert read(content, author="AB_NEW").texts == ["one", "two"]
    assert read(content, author="7").texts == ["three"]


# --- the account -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("nasa.csv", "nasa"),
        ("My posts.JSONL.gz", "My_posts"),
        ("..txt", "posts"),
        ("日本.txt", "日本"),
        ("a.b.c.txt", "a.b.c"),
    ],
)
def test_the_handle_comes_from_the_files_name(read: Reader, name: str, handle: str) -> None:
    assert read("hello world\n", name).account.handle == handle


def test_what_the_user_says_goes_first(read: Reader) -> None:
    result = read(jsonl(v1("hi")), handle="@me", display_name="Me")
    assert (result.account.handle, result.account.display_name) == ("me", "Me")
    assert result.posts[0].account == "me"


def test_a_handle_keeps_its_underscores(read: Reader) -> None:
    assert read("user,text\n_bob_,hi there\n").account == Account("_bob_", "file")


def test_a_column_of_full_names_gives_a_display_name(read: Reader) -> None:
    account = read("author,text\nDr. Jane Doe,hi there\n").account
    assert (account.handle, account.display_name) == ("Dr._Jane_Doe", "Dr. Jane Doe")


def test_the_avatar_is_handed_on(read: Reader, tmp_path: Path) -> None:
    picture = b"\x89PNG\r\n\x1a\n and so on"
    (tmp_path / "me.png").write_bytes(picture)
    result = read("hello\n", avatar=str(tmp_path / "me.png"))
    assert result.pages[0].avatar == picture


def test_an_avatar_that_is_missing_or_no_picture_is_an_error(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    for name in ("no.png", "missing.png", "."):
        with pytest.raises(SourceError):
            read("hello\n", avatar=str(tmp_path / name))


def test_the_fingerprint_follows_content_and_settings_and_not_the_folder(tmp_path: Path) -> None:
    def fingerprint(folder: str, content: str, **options: Any) -> str:
        path = tmp_path / folder / "posts.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return FileSource(path, ImportSettings(**options)).fingerprint()

    first = fingerprint("a", "hello")
    assert fingerprint("b", "hello") == first
    others = [
        fingerprint("a", "hello!"),
        fingerprint("a", "hello", handle="x"),
        fingerprint("a", "hello", skip_bad_lines=True),
    ]
    assert len({first, *others}) == 4


def test_a_file_source_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")
    source: Source = recognise(f"file:{tmp_path / 'a.txt'}", ImportSettings())
    assert source.spec == f"file:{tmp_path / 'a.txt'}"
    assert source.handle == "a"


# --- Parquet -----------------------------------------------------------------------------------------------------


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "times",
    [
        pa.array([MOMENT, None], pa.timestamp("us", tz="UTC")),
        pa.array([MOMENT, None], pa.timestamp("us", tz="America/New_York")),
        pa.array([MOMENT.replace(tzinfo=None), None], pa.timestamp("ms")),
        pa.array([int(MOMENT.timestamp()) * 10**9 + 1, None], pa.timestamp("ns")),
        pa.array([int(MOMENT.timestamp()), None], pa.int64()),
    ],
)
def test_parquet_columns_of_every_kind_are_read(read: Reader, times: pa.Array) -> None:
    table = pa.table(
        {
            "id": pa.array([920061541986250758, None], pa.int64()),
            "Text": pa.array(["one", "two"]).dictionary_encode(),
            "created_at": times,
            "is_retweet": pa.array([True, False]),
            "hashtags": pa.array([["a"], []]),
            "user": pa.array([{"x": 1}, None]),
        }
    )
    result = read(parquet_bytes(table), "p.parquet")
    assert [(post.text, post.id, post.kind) for post in result.posts] == [
        ("one", "920061541986250758", "repost"),
        ("two", None, "original"),
    ]
    moment = result.posts[0].created_at
    assert moment is not None
    assert moment.replace(microsecond=0) == MOMENT
    assert result.losses == {}


def test_parquet_is_read_in_batches_with_nulls_counted(read: Reader) -> None:
    texts = [f"post {n}" if n % 10 else None for n in range(2500)]
    result = read(parquet_bytes(pa.table({"text": texts}), row_group_size=300))
    assert result.losses == {tally.NO_TEXT: 250}
    assert result.rows == 2500
    assert [len(page.posts) for page in result.pages] == [1000, 1000, 250]


def test_damaged_parquet_is_an_error(read: Reader) -> None:
    whole = parquet_bytes(pa.table({"text": [f"post {n}" for n in range(100)]}))
    for damaged in (whole[:-5], whole[:50], b"PAR1", whole[:20] + b"\xff" * 40 + whole[60:]):
        with pytest.raises(SourceError):
            read(damaged)


def test_parquet_without_a_text_column_lists_its_columns(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match="Columns seen: id, inhalt"):
        read(parquet_bytes(pa.table({"id": [1], "inhalt": ["x"]})))


# --- gzip and things that are no posts ---------------------------------------------------------------------------


def test_a_truncated_gzip_gives_what_was_read(read: Reader) -> None:
    rng = random.Random(0)
    texts = [f"post {n} {rng.random()}" for n in range(500)]
    for content in (
        "\n".join(texts),
        "text,n\n" + "".join(f"{text},1\n" for text in texts),
        jsonl(*({"text": t} for t in texts)),
    ):
        packed = gzip.compress(content.encode())
        result = read(packed[: len(packed) // 2])
        assert 100 < len(result.texts) < 400
        assert result.texts[:-1] == texts[: len(result.texts) - 1]
        assert result.losses[tally.CUT_SHORT] == 1


def test_a_damaged_gzip_gives_what_comes_before_the_damage(read: Reader) -> None:
    rng = random.Random(0)
    texts = [f"post {n} {rng.random()}" for n in range(500)]
    packed = bytearray(gzip.compress("\n".join(texts).encode()))
    packed[-8:] = b"\0" * 8  # the checksum
    result = read(bytes(packed))
    assert result.texts == texts
    assert result.losses == {tally.CUT_SHORT: 1}


def test_gzip_members_follow_one_another(read: Reader) -> None:
    assert read(gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 20).texts == ["one", "two"]


def test_a_decompression_bomb_is_refused(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BOMB_BYTES", 1 << 20)
    with pytest.raises(UnreadableFile, match="bomb"):
        read(gzip.compress(b"hello\n" * (1 << 20)))


def zip_of(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


def tar_of(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zip_of("xl/workbook.xml"), r"an Excel workbook(.|\n)*Save As, CSV UTF-8"),
        (zip_of("mimetype", "content.xml"), "an OpenDocument file"),
        (
            zip_of("a.txt", "b/c.csv", "d.png"),
            r"no network we know(.|\n)*outbox\.json(.|\n)*one of these: a\.txt, b/c\.csv",
        ),
        (b"PK\x03\x04 cut", "damaged zip"),
        (tar_of("a.txt"), r"a tar archive(.|\n)*unpack it"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (b"SQLite format 3\0\x10", "SQLite"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page(.|\n)*archive"),
        (b'<?xml version="1.0"?><rss/>', "XML"),
        (b"{\\rtf1 hello}", "rich text"),
        (gzip.compress(gzip.compress(b"hi")), "gzip file inside"),
        (bytes(range(256)) * 20, "binary"),
        (bytes(5000), "binary"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # some bytes hold the time, which workers take apart
)
def test_what_is_no_file_of_posts_is_refused_by_name(read: Reader, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        read(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zip_of("data/tweets.js"), "an X archive"),
        (zip_of("outbox.json"), "a Mastodon archive"),
        (b"window.YTD.tweets.part0 = [ {} ]", "a part of an X archive"),
        (b"\x3a\xa2eroots\x81\xd8*X%gversion\x01", "a Bluesky repository"),
    ],
)
def test_an_archive_passed_as_a_plain_file_says_how_to_pass_it(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "posts.txt"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=f"{said}(.|\n)*without file:"):
        list(recognise(f"file:{path}", ImportSettings()).pages())


def test_a_gzipped_repository_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "repo.car.gz"
    path.write_bytes(gzip.compress(b"\x3a\xa2eroots\x81\xd8*X%gversion\x01"))
    with pytest.raises(UnreadableFile, match=r"(?s)a Bluesky repository.*unpack it, and pass \S*repo\.car$"):
        list(recognise(str(path), ImportSettings()).pages())


def test_a_folder_without_an_archive_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"without an archive(.|\n)*tweets\.js(.|\n)*outbox\.json"):
        recognise(str(tmp_path), ImportSettings())
    (tmp_path / "posts.csv").write_text("text\nhi\n")
    with pytest.raises(UnreadableFile, match=r"pass .*posts\.csv"):
        recognise(str(tmp_path), ImportSettings())
    (tmp_path / "bot.json").write_text("{}")
    with pytest.raises(UnreadableFile, match=f"is a bot(.|\n)*huggingtweets update {tmp_path.name}"):
        recognise(str(tmp_path), ImportSettings())


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/zero there")
def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="device"):
        recognise("/dev/zero", ImportSettings())


def test_a_file_that_goes_away_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hi")
    source = recognise(str(path), ImportSettings())
    path.unlink()
    with pytest.raises(SourceError, match="could not be read"):
        list(source.pages())
    with pytest.raises(SourceError):
        source.fingerprint()


# --- what was typed ----------------------------------------------------------------------------------------------


def test_an_existing_file_goes_before_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("@nasa").write_text("hello")
    assert Result(list(recognise("@nasa", ImportSettings()).pages())).texts == ["hello"]


def test_a_missing_file_comes_with_the_names_that_are_close(tmp_path: Path) -> None:
    (tmp_path / "nasa.csv").write_text("text\nhi\n")
    for typed in ("nasa.cvs", "NASA.CSV.gz", "nsa.csv", "nasa"):
        with pytest.raises(UnknownSource, match=r"Did you mean .*nasa\.csv"):
            recognise(str(tmp_path / typed), ImportSettings())


@pytest.mark.parametrize(
    "spec", ["", " ", "\0", "x" * 5000, "file:", "file:nowhere/at/all.csv", "~nobody_at_all/x.csv", "nasa"]
)
def test_nonsense_is_an_unknown_source(spec: str) -> None:
    with pytest.raises(UnknownSource):
        recognise(spec, ImportSettings())


# --- properties --------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n\v\f\r\x1b\x85"), min_size=1)
POSTS = st.lists(ANY_TEXT.filter(lambda text: text.strip() != ""), min_size=1, max_size=20)


def normal_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@LIGHT
@given(texts=POSTS, separator=st.sampled_from(tables.SEPARATORS), ending=st.sampled_from(["\n", "\r\n"]))
def test_a_table_comes_back_as_it_was_written(read: Reader, texts: list[str], separator: str, ending: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=ending)
    writer.writerow(["id", "text", "lang"])
    writer.writerows([number, text, "en"] for number, text in enumerate(texts, start=1))
    result = read(out.getvalue().encode())
    assert result.texts == [normal_newlines(text) for text in texts]
    assert result.losses == {}


@LIGHT
@given(texts=POSTS, is_array=st.booleans(), is_ascii=st.booleans())
def test_json_comes_back_as_it_was_written(read: Reader, texts: list[str], is_array: bool, is_ascii: bool) -> None:
    records = [{"text": text, "n": {"deep": [text]}} for text in texts]
    lines = [json.dumps(record, ensure_ascii=is_ascii) for record in records]
    content = "[" + ",\n".join(lines) + "]" if is_array else "\n".join(lines)
    result = read(content)
    assert result.texts == texts
    assert result.losses == {}


@LIGHT
@given(texts=POSTS)
def test_plain_text_comes_back_as_it_was_written(read: Reader, texts: list[str]) -> None:
    lines = ["A plain first line, with a comma", *(text.replace("\n", " ").replace("\r", " ") for text in texts)]
    lines = [line for line in lines if line.strip()]
    assert read("\n".join(lines).encode()).texts == lines


def ends_well(read: Reader, content: bytes, skip_bad_lines: bool) -> None:
    """Posts that a bot folder could hold, or an error of ours."""
    try:
        result = read(content, skip_bad_lines=skip_bad_lines)
    except SourceError:
        return
    assert result.posts
    for post in result.posts:
        post.text.encode("utf-8")
        Post.from_json(json.loads(json.dumps(post.to_json())))


@LIGHT
@given(content=st.binary(max_size=2000), skip=st.booleans(), packed=st.booleans())
def test_no_bytes_do_worse_than_an_error(read: Reader, content: bytes, skip: bool, packed: bool) -> None:
    ends_well(read, gzip.compress(content) if packed else content, skip)


def _valid_files() -> list[bytes]:
    rows = NASA.read_bytes()[:3000]
    records = jsonl(v1("hi"), v1("RT @b: x", retweeted_status={"id": 1}), {"delete": {}}).encode()
    page = json.dumps({"data": [v2("a"), v2("b")], "includes": {"users": [{"id": "42", "username": "ab"}]}}).encode()
    table = pa.table(
        {"id": [1, 2, 3], "text": ["a b", "c", None], "created_at": pa.array([1, 2, 3], pa.timestamp("ns"))}
    )
    return [
        rows,
        rows.decode().encode("utf-16"),
        b"[" + records.replace(b"\n", b",")[:-1] + b"]",
        records,
        page,
        json.dumps(json.loads(page), indent=1).encode(),
        gzip.compress(rows),
        parquet_bytes(table),
        json.dumps({"feed": feed()}).encode(),
        json.dumps(statuses()).encode(),
        b'created_at,text,user\n1/2/17 3:04,"a \xe4\xf3\xbb\rb",x\n',
    ]


@settings(LIGHT, max_examples=300)
@given(data=st.data())
def test_no_damage_to_a_good_file_does_worse_than_an_error(read: Reader, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(_valid_files())))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, max(0, len(content) - 1)))
        length = data.draw(st.integers(0, 30))
        content[place : place + length] = data.draw(
            st.binary(max_size=30)
            | st.sampled_from([b'"', b"\0", b"[", b"{", b"null", b"\\ud800", b"1e999", b"\r", b","])
        )
    ends_well(read, bytes(content), data.draw(st.booleans()))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
POST_FIELDS = ("text", "full_text", "id", "id_str", "created_at", "user", "author", "author_id", "type", "lang")
PAGE_FIELDS = ("data", "includes", "errors", "meta", "tweet", "users", "feed", "delete", "records", "statuses")
NETWORK_FIELDS = ("uri", "record", "value", "post", "reason", "did", "handle", "$type", "facets", "reply", "labels")
STATUS_FIELDS = ("account", "content", "visibility", "reblog", "acct", "actor", "object", "to", "attributedTo")
LINK_FIELDS = ("referenced_tweets", "note_tweet", "extended_tweet", "is_retweet", "retweeted_status")
FIELDS = st.sampled_from([*POST_FIELDS, *PAGE_FIELDS, *NETWORK_FIELDS, *STATUS_FIELDS, *LINK_FIELDS])


@settings(LIGHT, max_examples=200)
@given(records=st.lists(st.dictionaries(FIELDS, JSON_VALUES, max_size=6), max_size=4), is_array=st.booleans())
def test_no_value_in_a_known_field_does_worse_than_an_error(read: Reader, records: list[Any], is_array: bool) -> None:
    content = json.dumps(records) if is_array else jsonl(*records)
    ends_well(read, content.encode("utf-8", "surrogatepass"), skip_bad_lines=True)
