"""One object for many files: the same bytes whoever makes it, and each file by its range."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import DamagedObjectError, ObjectMissingError
from storage.object_store import FolderStore
from storage.sealed import PIECE, DataSetCheck, Member, ObjectReader, seal
from support.sealed_files import Row, copies_in, part10, stored_path

EXPLICIT = "1.2.840.10008.1.2.1"
FILES = st.dictionaries(
    st.integers(0, 2**32).map(stored_path),
    st.tuples(st.binary(max_size=300), st.binary(max_size=100)),
    min_size=1,
    max_size=8,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def written(folder: Path, files: dict[str, tuple[bytes, bytes]]) -> list[Member]:
    members = []
    for number, (path, (data_set, meta)) in enumerate(files.items()):
        file = folder / f"{number}.dcm"
        file.write_bytes(part10(data_set, meta))
        members.append(Member(path, file, sha256(data_set)))
    return members


@given(files=FILES)
def test_what_was_sealed_comes_back_byte_by_byte(files: dict[str, tuple[bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        members = written(folder, files)
        made = seal("series", members, folder / "object")
        again = seal("series", members[::-1], folder / "again")
        assert made == again
        content = (folder / "object").read_bytes()
        assert content == (folder / "again").read_bytes()
        assert (made.name, made.size_bytes) == (f"series/{sha256(content)}", len(content))
        with zipfile.ZipFile(folder / "object") as packed:
            assert packed.testzip() is None
            assert packed.namelist() == sorted(files)
        (folder / "store").mkdir()
        FolderStore(folder / "store").put(made.name, folder / "object")
        rows = [
            Row(each.path, each.file.stat().st_size, each.sha256, made.name, at)
            for each in members
            for at in [made.offsets[each.path]]
        ]
        brought = copies_in(folder).bring(folder / "own", rows)
        assert [each.read_bytes() for each in brought] == [e.file.read_bytes() for e in members]


@given(files=FILES, data=st.data())
def test_a_damaged_object_is_refused(
    files: dict[str, tuple[bytes, bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (path, (data_set, meta)), *_ = files.items()
        (member,) = written(folder, {path: (b"x" + data_set, meta)})
        made = seal("series", [member], folder / "object")
        content = bytearray((folder / "object").read_bytes())
        size, begin = member.file.stat().st_size, made.offsets[member.path]
        content[begin + data.draw(st.integers(0, size - 1))] ^= 1  # of the meta information too
        (folder / "object").write_bytes(content)
        (folder / "store").mkdir()
        FolderStore(folder / "store").put(made.name, folder / "object")
        row = Row(member.path, size, member.sha256, made.name, begin)
        copies = copies_in(folder)
        with pytest.raises(DamagedObjectError, match=r"its (SHA-256|CRC-32) is another"):
            copies.bring(folder / "own", [row])
        assert not (copies.root / member.path).exists()


def test_a_transfer_syntax_that_was_changed_is_noticed_whatever_the_archive_says(
    tmp_path: Path,
) -> None:
    """Where the CRC-32 is that of the changed file, too."""
    meta = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
    member = written(tmp_path, {stored_path(1): (b"data set", meta)})[0]
    made = seal("series", [replace(member, transfer_syntax_uid=EXPLICIT)], tmp_path / "object")
    size, at = member.file.stat().st_size, made.offsets[member.path]
    row = Row(member.path, size, member.sha256, made.name, at, transfer_syntax_uid=EXPLICIT)
    changed = bytearray((tmp_path / "object").read_bytes())
    syntax = changed.index(b"1.2.840.10008.1.2.1\x00", at)
    changed[syntax + 18 : syntax + 19] = b"2"
    crc_at = at - 30 - len(member.path) + 14
    folder = tmp_path / "store"
    folder.mkdir()
    for forged, told in ((False, "its CRC-32 is another"), (True, "another transfer syntax")):
        if forged:
            crc = zlib.crc32(changed[at : at + size])
            changed[crc_at : crc_at + 4] = crc.to_bytes(4, "little")
        (tmp_path / "object").write_bytes(changed)
        FolderStore(folder).put(made.name, tmp_path / "object")
        with pytest.raises(DamagedObjectError, match=told):
            copies_in(tmp_path).bring(tmp_path / "own", [row])
    member.file.write_bytes(part10(b"data set", meta.replace(b"1.2.1\x00", b"1.2.2\x00")))
    with pytest.raises(DamagedObjectError, match="another transfer syntax"):
        seal("series", [replace(member, transfer_syntax_uid=EXPLICIT)], tmp_path / "object")


@pytest.mark.parametrize("at", [0, 140, -1])
def test_one_file_as_an_object_is_checked_against_its_name(tmp_path: Path, at: int) -> None:
    (tmp_path / "file").write_bytes(part10(b"data set"))
    copies = copies_in(tmp_path)
    name, size = copies.put(tmp_path / "file"), (tmp_path / "file").stat().st_size
    row = Row(stored_path(1), size, sha256(b"data set"), name, 0)
    (brought,) = copies.bring(tmp_path / "own", [row])
    assert brought.read_bytes() == part10(b"data set")
    brought.unlink()
    content = bytearray((tmp_path / "file").read_bytes())
    content[at] ^= 1
    (tmp_path / "store" / name).write_bytes(content)
    with pytest.raises(DamagedObjectError, match="its SHA-256 is another"):
        copies.bring(tmp_path / "own", [row])


def test_results_are_checked_against_the_name_of_their_object(tmp_path: Path) -> None:
    file = tmp_path / "result"
    file.write_bytes(b"any bytes")
    made = seal("results", [Member(stored_path(1), file)], tmp_path / "object")
    (tmp_path / "store").mkdir()
    store = FolderStore(tmp_path / "store")
    store.put(made.name, tmp_path / "object")
    row = Row(stored_path(1), 9, "", made.name, made.offsets[stored_path(1)])
    (brought,) = copies_in(tmp_path).bring(tmp_path / "own", [row])
    assert brought.read_bytes() == b"any bytes"
    brought.unlink()
    content = bytearray((tmp_path / "object").read_bytes())
    content[-1] ^= 1
    (tmp_path / "object").write_bytes(content)
    store.put(made.name, tmp_path / "object")
    with pytest.raises(DamagedObjectError, match="another than its name says"):
        copies_in(tmp_path).bring(tmp_path / "own", [row])


def test_a_file_that_is_not_what_came_is_not_sealed(tmp_path: Path) -> None:
    (member,) = written(tmp_path, {stored_path(1): (b"data set", b"")})
    for wrong in (part10(b"another"), b"no DICOM at all" * 20, b"", part10(b"")[:130]):
        member.file.write_bytes(wrong)
        with pytest.raises(DamagedObjectError):
            seal("series", [member], tmp_path / "object")
    member.file.write_bytes(b"no DICOM at all" * 20)
    seal("series", [replace(member, sha256="")], tmp_path / "object")


@given(pieces=st.lists(st.binary(max_size=200)), meta=st.binary(max_size=200))
def test_a_data_set_is_known_in_whatever_pieces_it_comes(pieces: list[bytes], meta: bytes) -> None:
    data_set = b"".join(pieces)
    check = DataSetCheck("name", sha256(data_set))
    head = part10(b"", meta)
    for each in (*(head[at : at + 50] for at in range(0, len(head), 50)), *pieces):
        check.update(each)
    check.end()


def test_an_object_is_read_ahead_and_no_further_than_it_is_wanted(tmp_path: Path) -> None:
    content = bytes(range(256)) * ((PIECE + 5000) // 256)
    (tmp_path / "object").write_bytes(content)
    store, asked = FolderStore(tmp_path), list[tuple[int, int]]()

    class Counting(FolderStore):
        def get_range(self, name: str, offset: int, size: int) -> bytes:
            asked.append((offset, size))
            return store.get_range(name, offset, size)

    reader = ObjectReader(Counting(tmp_path), "object", PIECE + 1000)
    small = b"".join(reader.pieces(10, 100)) + b"".join(reader.pieces(200, 300))
    assert small == content[10:110] + content[200:500]
    assert b"".join(reader.pieces(500, PIECE + 500)) == content[500 : PIECE + 1000]
    assert asked == [(10, PIECE), (10 + PIECE, 990)]
    with pytest.raises(ObjectMissingError, match="ends before"):
        b"".join(ObjectReader(store, "object", len(content) + 1).pieces(len(content), 1))
