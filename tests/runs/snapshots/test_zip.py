import contextlib
import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest

from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Snapshot
from runs.snapshots import snapshot_from_zip, snapshot_paths, snapshot_plan, zip_take
from runs.snapshots.directory import MOST_MEMBERS

pytestmark = pytest.mark.django_db


def packed(*members: tuple[str | zipfile.ZipInfo, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer


def member(name: str, *, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


@pytest.fixture
def limits(settings) -> Callable[..., None]:
    """``limits(bytes, files)`` for one test."""

    def set_to(most_bytes: int = 10**9, most_files: int = 10**6) -> None:
        settings.ENV = replace(settings.ENV, snapshot_max_bytes=most_bytes, snapshot_max_files=most_files)

    return set_to


def test_files_arrive_byte_for_byte_with_their_exec_bit() -> None:
    content = os.urandom(3_000_000)
    zipped = packed(
        ("train.py", "print(1)"),
        ("data/café ☕.bin", content),
        (member("tool.sh", mode=stat.S_IFREG | 0o755), "#!/bin/sh\n"),
    )
    files = {file.path: file for file in snapshot_plan(snapshot_from_zip(zipped))}
    assert set(files) == {"train.py", "data/café ☕.bin", "tool.sh"}
    assert files["data/café ☕.bin"].source.read_bytes() == content
    assert files["data/café ☕.bin"].size_bytes == len(content)
    assert files["tool.sh"].executable
    assert not files["train.py"].executable


def test_one_folder_around_everything_is_taken_off_and_said() -> None:
    taken = zip_take(packed(("project/train.py", ""), ("project/lib/a.py", ""), ("__MACOSX/project/._train.py", "x")))
    assert taken.unwrapped == "project"
    assert snapshot_paths(taken.snapshot) == ["lib/a.py", "train.py"]


def test_one_folder_that_is_a_package_stays_because_scripts_import_it_by_its_name() -> None:
    taken = zip_take(packed(("project/train.py", ""), ("project/__init__.py", "")))
    assert taken.unwrapped == ""
    assert snapshot_paths(taken.snapshot) == ["project/__init__.py", "project/train.py"]


def test_ignore_files_count_inside_the_folder_that_is_taken_off() -> None:
    taken = zip_take(packed(("p/train.py", ""), ("p/.gitignore", "*.csv\n"), ("p/a.csv", "1"), ("p/b/c.csv", "1")))
    assert snapshot_paths(taken.snapshot) == [".gitignore", "train.py"]
    assert (taken.ignored_count, taken.ignore_file) == (2, ".gitignore")


def test_names_written_in_utf8_without_saying_so_are_understood() -> None:
    """As the Finder of macOS packs them, decomposed besides."""
    zipped = packed(("XXXXXX.py", ""), ("train.py", ""))
    raw = zipped.getvalue().replace(b"XXXXXX", "cafe\u0301".encode())
    assert snapshot_paths(snapshot_from_zip(io.BytesIO(raw))) == ["caf\u00e9.py", "train.py"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "a/../../evil.py",
        "/etc/passwd",
        "C:/evil.py",
        "c:evil.py",
        "a\\..\\evil.py",
        "~/evil.py",
        "a\nb.py",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_by_name(name: str) -> None:
    with pytest.raises(SnapshotRefused) as refusal:
        snapshot_from_zip(packed(("train.py", ""), (name, "x")))
    assert repr(name) in str(refusal.value)
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("name", ["../evil.py", "__pycache__/../../evil.py"])
def test_such_a_name_is_refused_even_where_it_would_be_ignored(name: str) -> None:
    with pytest.raises(SnapshotRefused, match="leads out"):
        snapshot_from_zip(packed(("train.py", ""), (".gitignore", "*evil*\n"), (name, "x")))


def test_a_nul_in_a_name_is_refused_and_not_cut_off() -> None:
    raw = packed(("train.py", ""), ("a.pyXevil", "")).getvalue().replace(b"a.pyXevil", b"a.py\0evil")
    with pytest.raises(SnapshotRefused, match="control character"):
        snapshot_from_zip(io.BytesIO(raw))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (stat.S_IFLNK, "symbolic link"),
        (stat.S_IFBLK, "device"),
        (stat.S_IFCHR, "device"),
        (stat.S_IFIFO, "pipe"),
        (stat.S_IFSOCK, "socket"),
    ],
)
def test_what_is_no_plain_file_is_refused_by_name_unless_it_is_ignored(kind: int, word: str) -> None:
    odd = member("odd", mode=kind | 0o777)
    with pytest.raises(SnapshotRefused, match=rf"'odd'.*{word}"):
        snapshot_from_zip(packed(("train.py", ""), (odd, "/etc/shadow")))
    ignored = snapshot_from_zip(packed(("train.py", ""), (".gitignore", "odd\n"), (odd, "/etc/shadow")))
    assert "odd" not in snapshot_paths(ignored)


def test_an_ignore_file_that_is_a_link_is_refused() -> None:
    with pytest.raises(SnapshotRefused, match=r"'\.gitignore' is a symbolic link"):
        snapshot_from_zip(packed(("train.py", ""), (member(".gitignore", mode=stat.S_IFLNK | 0o777), "/etc/passwd")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("a.py", "a.py", "twice"),
        ("a.py", "./a.py", "twice"),
        ("caf\u00e9.py", "cafe\u0301.py", "accent"),
        ("a", "a/b.py", "both a file and a folder"),
        ("a/b.py", "a", "both a file and a folder"),
        ("a", "a/b/c/d.py", "both a file and a folder"),
        ("a", "a/", "both a file and a folder"),
    ],
)
def test_names_that_cannot_lie_in_one_folder_are_refused(first: str, second: str, word: str) -> None:
    with pytest.raises(SnapshotRefused, match=word):
        snapshot_from_zip(packed((first, "1"), (second, "2")))


def test_an_encrypted_member_is_refused_by_name() -> None:
    raw = bytearray(packed(("secret.py", "x" * 100)).getvalue())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SnapshotRefused, match=r"'secret\.py' is encrypted"):
        snapshot_from_zip(io.BytesIO(bytes(raw)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_size_cannot_be_held_while_unpacking_are_refused(method: int) -> None:
    with pytest.raises(SnapshotRefused, match=r"'big' is compressed by method"):
        snapshot_from_zip(packed(("big", b"0" * 1000), method=method))


def test_too_many_bytes_are_refused_with_the_ten_largest_before_anything_is_unpacked(limits) -> None:
    limits(most_bytes=60_000)
    files = [(f"f{number:02}.bin", os.urandom(1000 * number)) for number in range(1, 13)]
    with pytest.raises(SnapshotTooLarge) as refusal:
        snapshot_from_zip(packed(*files))
    message = str(refusal.value)
    assert "76.2 kB; 58.6 kB are allowed" in message
    named = [name for name, _ in files if name in message]
    assert named == [f"f{number:02}.bin" for number in range(3, 13)]
    assert message.index("f12.bin") < message.index("f11.bin")


def test_too_many_files_are_refused_and_ignored_ones_do_not_count(limits) -> None:
    limits(most_files=3)
    files = [(f"f{number}.py", "x") for number in range(3)]
    assert snapshot_from_zip(packed(*files, ("outputs/a", ""), (".venv/b", ""))).file_count == 3
    with pytest.raises(SnapshotTooLarge, match="4 files; 3 are allowed"):
        snapshot_from_zip(packed(*files, ("more.py", "")))


def test_a_bomb_is_refused_by_what_it_declares(limits) -> None:
    limits(most_bytes=50_000_000)
    with pytest.raises(SnapshotTooLarge, match=r"bomb\.bin"):
        snapshot_from_zip(packed(("bomb.bin", b"\0" * 60_000_000)))


def test_a_bomb_that_declares_too_little_is_found_out_without_unpacking_the_rest() -> None:
    raw = bytearray(packed(("bomb.bin", b"\0" * 5_000_000)).getvalue())
    entry = raw.index(b"PK\x01\x02")
    struct.pack_into("<L", raw, entry + 24, 1000)
    struct.pack_into("<L", raw, 22, 1000)
    with pytest.raises(SnapshotRefused, match=r"'bomb\.bin' cannot be unpacked: the zip is damaged"):
        snapshot_from_zip(io.BytesIO(bytes(raw)))


def test_members_that_share_their_bytes_are_refused_as_a_bomb() -> None:
    """One compressed block, named by many entries of the directory."""
    raw = packed(("kernel", b"\0" * 4_000_000)).getvalue()
    start = raw.index(b"PK\x01\x02")
    entry, end = raw[start : raw.index(b"PK\x05\x06")], bytearray(raw[raw.index(b"PK\x05\x06") :])
    entries = b"".join(entry.replace(b"kernel", f"k{number:05}".encode()) for number in range(60))
    struct.pack_into("<HHL", end, 8, 60, 60, len(entries))
    with pytest.raises(SnapshotRefused):
        snapshot_from_zip(io.BytesIO(raw[:start] + entries + bytes(end)))


def test_a_directory_of_too_many_members_is_not_even_read() -> None:
    raw = bytearray(packed(("train.py", "")).getvalue())
    end = raw.index(b"PK\x05\x06")
    struct.pack_into("<HH", raw, end + 8, 60_000, 60_000)
    with pytest.raises(SnapshotRefused, match=rf"60,000 members .*{MOST_MEMBERS:,} members are allowed"):
        snapshot_from_zip(io.BytesIO(bytes(raw)))


def test_a_zip_larger_than_twice_the_limit_is_refused(limits) -> None:
    limits(most_bytes=1000)
    with pytest.raises(SnapshotTooLarge, match=r"a zip may have 2\.0 kB"):
        snapshot_from_zip(packed((".git/pack", os.urandom(5000)), ("train.py", "")), name="p.zip")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06", b"\0" * 70_000])
def test_what_is_no_zip_is_refused_with_its_name(content: bytes) -> None:
    with pytest.raises(SnapshotRefused, match=r"'notes\.zip' is not a zip file"):
        snapshot_from_zip(io.BytesIO(content), name="notes.zip")


def test_a_zip_cut_or_changed_anywhere_is_refused_or_taken_and_raises_nothing_else() -> None:
    whole = packed(("train.py", "print(1)" * 50), ("b.txt", "x")).getvalue()
    for at in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[at] ^= 0xFF
        for raw in (whole[:at], bytes(flipped)):
            with contextlib.suppress(SnapshotRefused):
                assert "train.py" in " ".join(snapshot_paths(snapshot_from_zip(io.BytesIO(raw))))


@pytest.mark.parametrize(
    "members", [[], [("empty/", "")], [("outputs/model.keras", "x")], [("a.py", ""), (".gitignore", "*\n")]]
)
def test_a_zip_without_a_file_to_run_is_refused(members: list[tuple[str, str]]) -> None:
    with pytest.raises(SnapshotRefused, match="No file is left to run"):
        snapshot_from_zip(packed(*members))
