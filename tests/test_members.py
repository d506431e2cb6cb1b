"""Archives are read without unpacking them, and none of them does harm: bombs, ways out, locks, links, damage."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from archives import mark_encrypted, write_folder, write_zip
from conftest import full_disk
from huggingtweets.errors import StorageError, UnreadableFile
from huggingtweets.sources.packed import members as members_module
from huggingtweets.sources.packed import tars
from huggingtweets.sources.packed.members import Members, has_member, member_names, open_members
from huggingtweets.sources.packed.streams import LONGEST_CHARACTERS, Elements

TEXT = b"one post after another, " * 4000


def wanted(name: str) -> bool:
    return name.endswith(".js")


def read_all(path: Path) -> dict[str, bytes]:
    with open_members(path, wanted) as members:
        return {name: whole(members, name) for name in members.names}


def whole(members: Members, name: str) -> bytes:
    with members.open(name) as file:
        return b"".join(iter(lambda: file.read(), b""))


def write_tar(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in entries:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def tar_of(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    return write_tar(path, [(tarfile.TarInfo(name), data) for name, data in members.items()], mode)


def without_directory(path: Path) -> Path:
    """A zip that broke off where its directory begins."""
    with zipfile.ZipFile(path) as archive:
        end = archive.start_dir
    path.write_bytes(path.read_bytes()[:end])
    return path


PACKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "zip": write_zip,
    "stored zip": lambda path, members: write_zip(path, members, zipfile.ZIP_STORED),
    "bzip2 zip": lambda path, members: write_zip(path, members, zipfile.ZIP_BZIP2),
    "lzma zip": lambda path, members: write_zip(path, members, zipfile.ZIP_LZMA),
    "broken zip": lambda path, members: without_directory(write_zip(path, members)),
    "broken stored zip": lambda path, members: without_directory(write_zip(path, members, zipfile.ZIP_STORED)),
    "tar.gz": tar_of,
    "tar": lambda path, members: tar_of(path, members, "w:"),
    "folder": write_folder,
}


@pytest.mark.parametrize("kind", list(PACKERS))
def test_wanted_members_are_read_however_they_are_packed(tmp_path: Path, kind: str) -> None:
    found = {"a.js": TEXT, "data/b.js": b"", "data/c.js": os.urandom(300_000)}
    path = PACKERS[kind](
        tmp_path / "a", found | {"data/d.mp4": b"not wanted", "data/e/": b""} if "zip" in kind else found
    )
    assert read_all(path) == found
    assert has_member(path, wanted)
    assert not has_member(path, lambda name: name == "z.js")
    assert set(member_names(path, wanted)) == set(found)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "folder"])
def test_what_is_only_noticed_is_not_opened_and_its_size_is_told(tmp_path: Path, kind: str) -> None:
    path = PACKERS[kind](tmp_path / "a", {"a.js": TEXT, "private.txt": b"12345"})
    if kind == "zip":
        mark_encrypted(path, "private.txt")
    with open_members(path, wanted, lambda name: name == "private.txt") as members:
        assert members.names == ("a.js",)
        assert members.noticed == {"private.txt": 5}


@pytest.mark.parametrize("kind", list(PACKERS))
def test_stamps_change_with_what_is_wanted(tmp_path: Path, kind: str) -> None:
    stamps = []
    for number, members in enumerate([{"a.js": TEXT}, {"a.js": TEXT, "b.js": b"2"}, {"a.js": TEXT + b"!"}]):
        with open_members(PACKERS[kind](tmp_path / str(number), members), wanted) as opened:
            stamps.append(tuple(opened.stamps))
    assert len(set(stamps)) == 3


# --- ways out ---

OUTSIDE = [
    "../a.js",
    "data/../../a.js",
    "/etc/a.js",
    "C:/a.js",
    "c:\\a.js",
    "..\\a.js",
    "\\\\server\\a.js",
    "../media.mp4",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "broken zip", "tar.gz"])
def test_a_name_that_leads_out_is_refused_wherever_it_stands(tmp_path: Path, name: str, kind: str) -> None:
    path = PACKERS[kind](tmp_path / "a", {"good.js": TEXT, name: b"harm"})
    with pytest.raises(UnreadableFile, match="leads out"):
        open_members(path, wanted)


def test_names_with_dots_that_lead_nowhere_are_fine(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"..data/a..js": b"1", "./b.js": b"2", "x/c:d.mp4": b"", "…/d.js": b"3"})
    assert read_all(path) == {"..data/a..js": b"1", "b.js": b"2", "…/d.js": b"3"}


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret.js"
    secret.write_bytes(b"secret")
    entries = [(tarfile.TarInfo("a.js"), b"1")]
    for number, kind in enumerate(
        (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)
    ):
        info = tarfile.TarInfo(f"{number}.js")
        info.type, info.linkname = kind, str(secret)
        entries.append((info, b""))
    assert read_all(write_tar(tmp_path / "a.tar.gz", entries)) == {"a.js": b"1"}

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.js")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
        archive.writestr("a.js", b"1")
    assert read_all(tmp_path / "a.zip") == {"a.js": b"1"}

    folder = write_folder(tmp_path / "folder", {"a.js": b"1", "inner/b.js": b"2"})
    (folder / "link.js").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    (folder / "inside.js").symlink_to(folder / "inner" / "b.js")
    (folder / "dangling.js").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.js")
    assert read_all(folder) == {"a.js": b"1", "inner/b.js": b"2", "inside.js": b"2"}


def test_of_two_members_with_one_name_the_later_counts(tmp_path: Path) -> None:
    entries = [("a.js", b"old"), ("b.js", b"between"), ("a.js", b"new"), ("c.js", b"last")]
    path = tmp_path / "a.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # that this is done on purpose
        for name, data in entries:
            archive.writestr(name, data)
    tar = write_tar(tmp_path / "a.tar", [(tarfile.TarInfo(name), data) for name, data in entries], "w:")
    for packed in (path, tar, without_directory(path)):
        assert read_all(packed) == {"a.js": b"new", "b.js": b"between", "c.js": b"last"}


# --- locks ---


@pytest.mark.parametrize("kind", ["zip", "broken zip"])
def test_an_encrypted_member_is_refused_when_it_is_wanted(tmp_path: Path, kind: str) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.js": TEXT, "b.mp4": TEXT})
    mark_encrypted(path, "b.mp4")
    assert read_all(path) == {"a.js": TEXT}
    mark_encrypted(path, "a.js")
    if kind == "broken zip":
        without_directory(path)
    with pytest.raises(UnreadableFile, match=r"a\.js in .* is encrypted"):
        read_all(path)


@pytest.mark.parametrize("method", [9, 93, 95, 98, 1])  # deflate64, zstd, xz, ppmd, shrink
def test_a_packing_that_is_not_read_is_said(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.js": TEXT, "b.mp4": b""})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, 8, method)
    struct.pack_into("<H", data, directory + 10, method)
    path.write_bytes(bytes(data))
    for packed in (path, without_directory_of(path, directory)):
        with pytest.raises(UnreadableFile, match=r"a\.js in .* cannot be read") as error:
            read_all(packed)
        assert "unpack it" in error.value.next


def without_directory_of(path: Path, end: int) -> Path:
    broken = path.with_name("broken.zip")
    broken.write_bytes(path.read_bytes()[:end])
    return broken


# --- bombs ---


@pytest.fixture
def small_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb is one from a megabyte on."""
    monkeypatch.setattr(members_module, "BOMB_BYTES", 1 << 20)


BOMB = {"a.js": bytes(3 << 20)}


@pytest.mark.usefixtures("small_bombs")
@pytest.mark.parametrize("kind", ["zip", "bzip2 zip", "lzma zip", "broken zip", "tar.gz"])
def test_a_bomb_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = PACKERS[kind](tmp_path / "a", BOMB)
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    with pytest.raises(UnreadableFile, match="bomb"):
        read_all(path)
    assert not list(copies.iterdir())


def with_size(path: Path, size: int) -> Path:
    """The first member says that it unpacks to so much."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("size", [members_module.BOMB_BYTES + 1, 0xFFFFFFFE])
def test_a_member_that_says_it_is_a_bomb_is_one(tmp_path: Path, size: int) -> None:
    with pytest.raises(UnreadableFile, match="bomb"):
        open_members(with_size(write_zip(tmp_path / "a.zip", {"a.js": TEXT}), size), wanted)


@pytest.mark.usefixtures("small_bombs")
def test_a_bomb_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    with open_members(with_size(write_zip(tmp_path / "a.zip", BOMB), 1000), wanted) as members:
        assert len(whole(members, "a.js")) <= 1000
        assert members.cut_short


def test_a_member_that_is_shorter_than_it_says_is_read_to_its_end(tmp_path: Path) -> None:
    with open_members(with_size(write_zip(tmp_path / "a.zip", {"a.js": TEXT}), 2 * len(TEXT)), wanted) as members:
        assert whole(members, "a.js") == TEXT


def test_members_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (members_module, tars):
        monkeypatch.setattr(module, "LARGEST_TOTAL_BYTES", 3 * len(TEXT) - 1)
    found = {f"{number}.js": TEXT for number in range(3)}
    for kind in ("zip", "tar.gz"):
        with pytest.raises(UnreadableFile, match="the whole"):
            open_members(PACKERS[kind](tmp_path / kind, found), wanted)
    found.pop("0.js")
    assert len(read_all(write_zip(tmp_path / "b.zip", found))) == 2


def test_a_member_larger_than_posts_can_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "LARGEST_MEMBER_BYTES", len(TEXT) - 1)
    for kind in ("zip", "broken zip", "tar"):
        with pytest.raises(UnreadableFile, match="unpacks to more"):
            read_all(PACKERS[kind](tmp_path / kind, {"a.js": TEXT}))
    assert read_all(write_folder(tmp_path / "folder", {"a.js": TEXT})) == {"a.js": TEXT}


def test_a_directory_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.js": TEXT})
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    for size in (members_module.LARGEST_DIRECTORY_BYTES + 1, 0xFFFFFFFF):
        path.write_bytes(data[: end + 12] + struct.pack("<I", size) + data[end + 16 :])
        with pytest.raises(UnreadableFile, match="more members"):
            open_members(path, wanted)
    zip64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    path.write_bytes(data[:end] + zip64 + locator + data[end:])
    with pytest.raises(UnreadableFile, match="more members"):
        has_member(path, wanted)


def test_a_header_of_a_tar_cannot_fill_the_memory(tmp_path: Path) -> None:
    """A name of gigabytes, in an extended header."""
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    good = tarfile.TarInfo("a.js")
    good.size = 1
    path = tmp_path / "a.tar"
    path.write_bytes(good.tobuf() + b"1" + bytes(511) + name.tobuf() + bytes(3 * tars.HEADER_BYTES))
    with open_members(path, wanted) as members:
        assert whole(members, "a.js") == b"1"


def test_an_element_that_never_ends_is_damage_and_not_a_full_memory(tmp_path: Path) -> None:
    endless = b'x = [ {"tweet": 1}, {"tweet": "' + b"a" * (5 * LONGEST_CHARACTERS) + b'"}, {"tweet": 2} ]'
    elements = Elements(io.BytesIO(endless), begins=re.compile(r'\{"tweet":'))
    tracemalloc.start()
    assert list(elements) == [{"tweet": 1}, {"tweet": 2}]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert elements.damages == 1
    assert peak < 8 * LONGEST_CHARACTERS


def test_a_file_of_nothing_but_damage_ends(tmp_path: Path) -> None:
    elements = Elements(io.BytesIO(b"x = [" + b'{"tweet": ' * 2_000_000), begins=re.compile(r'\{"tweet":'))
    assert list(elements) == []
    assert 1 <= elements.damages <= 101


# --- large ---


def test_a_member_of_gigabytes_that_is_not_wanted_costs_nothing(tmp_path: Path) -> None:
    """Its place beyond four gigabytes takes a zip64."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.js", TEXT)
        leave_hole(archive, "film.mp4", 5 << 30)
        archive.writestr("b.js", TEXT)
    assert path.stat().st_size > 5 << 30
    assert path.stat().st_blocks * 512 < 1 << 20
    assert read_all(path) == {"a.js": TEXT, "b.js": TEXT}


def leave_hole(archive: zipfile.ZipFile, name: str, size: int) -> None:
    """A stored member that was never written."""
    info = zipfile.ZipInfo(name)
    info.header_offset = archive.fp.tell()  # type: ignore[union-attr]
    info.file_size = info.compress_size = size
    info.CRC = 0
    archive.fp.write(info.FileHeader(zip64=True))  # type: ignore[union-attr]
    archive.fp.seek(size, 1)  # type: ignore[union-attr]
    archive.start_dir = archive.fp.tell()  # type: ignore[union-attr]
    archive.filelist.append(info)
    archive.NameToInfo[name] = info


# --- damage ---


@pytest.mark.parametrize("kind", ["zip", "bzip2 zip", "lzma zip", "broken zip"])
def test_damage_inside_a_member_ends_it_early(tmp_path: Path, kind: str) -> None:
    found = os.urandom(1 << 20)
    path = PACKERS[kind](tmp_path / "a", {"a.js": found, "b.js": TEXT})
    data = bytearray(path.read_bytes())
    data[900_000:900_040] = bytes(range(40))
    path.write_bytes(bytes(data))
    with open_members(path, wanted) as members:
        read = whole(members, "a.js")
        assert whole(members, "b.js") == TEXT
        assert members.cut_short
    if kind != "bzip2 zip":  # whose blocks are 900 kB
        assert read[:700_000] == found[:700_000]


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.js": TEXT}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"one post", b"two post", 1))
    with open_members(path, wanted) as members:
        assert len(whole(members, "a.js")) == len(TEXT)
        assert members.cut_short


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["zip", "stored zip", "tar.gz", "tar"])
def test_what_was_cut_off_gives_its_beginning(tmp_path: Path, kind: str, fraction: float) -> None:
    found = os.urandom(1 << 20)
    path = PACKERS[kind](tmp_path / "a", {"a.js": found})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    with open_members(path, wanted) as members:
        read = whole(members, "a.js")
        assert members.cut_short
    assert fraction * len(found) - 300_000 < len(read) < len(found)
    assert found.startswith(read)


def test_a_tar_that_ends_between_two_members_is_cut_short(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"a.js": TEXT, "b.js": TEXT}, "w:")
    whole_size = 512 + -(-len(TEXT) // 512) * 512
    with open_members(path, wanted) as members:
        assert not members.cut_short
    path.write_bytes(path.read_bytes()[:whole_size])
    with open_members(path, wanted) as members:
        assert members.names == ("a.js",)
        assert members.cut_short


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"PK\3\4", b"hello", b"\x1f\x8b", b"\x1f\x8b\x08" + bytes(600), bytes(2000), b"PK\5\6" + bytes(18)],
)
def test_what_is_no_archive_has_no_members(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert not has_member(path, wanted)
    with pytest.raises(UnreadableFile, match="no archive"):
        open_members(path, wanted)


def test_a_gzip_file_that_is_no_tar_is_none(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl.gz"
    path.write_bytes(zlib.compress(b'{"text": "hi"}\n' * 1000, wbits=31))
    assert not has_member(path, wanted)
    with pytest.raises(UnreadableFile, match="no archive"):
        open_members(path, wanted)


def test_a_tar_needs_room_for_what_it_holds(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar.gz", {"a.js": TEXT})
    with full_disk(1000), pytest.raises(StorageError, match="full"):
        open_members(path, wanted)


def test_a_small_member_that_is_not_small_is_refused(tmp_path: Path) -> None:
    with open_members(write_zip(tmp_path / "a.zip", {"a.js": TEXT}), wanted) as members:
        assert members.read("a.js", len(TEXT)) == TEXT
        with pytest.raises(UnreadableFile, match="larger than it can be"):
            members.read("a.js", len(TEXT) - 1)


def test_a_folder_is_searched_where_posts_may_lie(tmp_path: Path) -> None:
    found = {"1/2/3/4/a.js": b"1", "x_media/profile_media/b.js": b"", "data/profile_media/c.js": b"3"}
    hidden = {"1/2/3/4/5/6/a.js": b"", "data/tweets_media/a.js": b"", "__MACOSX/a.js": b"", "data/._a.js": b""}
    folder = write_folder(tmp_path / "a", found | hidden)
    assert set(read_all(folder)) == {"1/2/3/4/a.js", "data/profile_media/c.js"}


def test_no_copies_are_left_behind(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar.gz", {"a.js": TEXT})
    with open_members(path, wanted) as members:
        assert members.copies is not None
        folder = Path(members.copies.name)
        assert folder.is_dir()
    assert not folder.exists()


def test_a_member_without_a_name_is_passed_over(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"x.js": b"read", "y.js": b"nameless"})
    data = path.read_bytes()
    central = data.rindex(b"PK\x01\x02")
    data = data[: central + 28] + b"\0\0" + data[central + 30 : central + 46] + data[central + 50 :]  # no name
    end = data.rindex(b"PK\x05\x06")
    size = int.from_bytes(data[end + 12 : end + 16], "little") - 4
    path.write_bytes(data[: end + 12] + size.to_bytes(4, "little") + data[end + 16 :])
    with open_members(path, lambda name: name.endswith(".js")) as members:
        assert members.names == ("x.js",)
