"""Snapshots from a zip file.

Nothing is unpacked to the disk under the names of the archive: each member goes through a limited stream into the
content store. Everything that a zip can say beyond "a file with these bytes" is refused, naming the member.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from django.conf import settings

from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Snapshot
from runs.snapshots.blobs import blob_store
from runs.snapshots.directory import directory_check
from runs.snapshots.ignore import IGNORE_FILES, MAX_IGNORE_BYTES, IgnoreRules, is_always_ignored
from runs.snapshots.manifest import Entry, limits_check, megabytes, snapshot_keep
from runs.snapshots.paths import PathSet, clean_path, shown_name

#: Deflate reaches at most 1,032 to 1 (RFC 1951: 258 bytes for 2 bits); more comes from members that share their bytes.
MOST_RATIO = 1_100
RATIO_MATTERS_BYTES = 16 * 1024 * 1024

#: A zip may hold this many times the snapshot's limit, since what is ignored counts only here.
ZIP_FACTOR = 2

#: ``zipfile`` unpacks these two in bounded pieces; of bzip2 and LZMA it takes a whole block into memory, however large.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A snapshot, and what was done to the files on the way: ``unwrapped`` names the top folder that was taken off
    (empty: none), ``ignored_count`` counts the files left behind, ``ignore_file`` the file that said so."""

    snapshot: Snapshot
    unwrapped: str = ""
    ignored_count: int = 0
    ignore_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    path: str
    info: zipfile.ZipInfo


def snapshot_from_zip(file: IO[bytes], *, name: str = "") -> Snapshot:
    """The snapshot of the files in a zip; see ``zip_take``."""
    return zip_take(file, name=name).snapshot


def zip_take(file: IO[bytes], *, name: str = "") -> Taken:
    """Takes the files of a zip, ``name`` being what to call it in messages.

    When everything lies in one top folder, and that folder is no Python package, it is taken off. Empty folders are
    dropped. Raises SnapshotRefused for a broken or hostile archive and SnapshotTooLarge over the limits.
    """
    label = shown_name(name) if name else "The upload"
    size = file.seek(0, 2)
    most = ZIP_FACTOR * settings.ENV.snapshot_max_bytes
    if size > most:
        raise SnapshotTooLarge(
            f"{label} has {megabytes(size)}; a zip may have {megabytes(most)}. "
            "Leave out .venv, outputs and data before packing."
        )
    directory_check(file, label=label)
    with _refusing(f"{label} cannot be read"), zipfile.ZipFile(file) as archive:
        members = _members(archive)
        top = _top_folder([member.path for member in members])
        if top:
            members = [_Member(path=member.path[len(top) + 1 :], info=member.info) for member in members]
        rules = _rules(archive, members)
        kept = [member for member in members if not rules.ignores_file(member.path)]
        _check(kept, zip_bytes=size)
        entries = [_store(archive, member) for member in kept]
    return Taken(
        snapshot=snapshot_keep(entries, git={}),
        unwrapped=top,
        ignored_count=sum(not info.is_dir() for info in archive.infolist()) - len(kept),
        ignore_file=rules.source,
    )


def _members(archive: zipfile.ZipFile) -> list[_Member]:
    """The files of the archive under clean names, without what is always ignored. Ignored or not, no name may
    lead outside: such an archive is hostile or broken."""
    taken = PathSet()
    members = []
    for info in archive.infolist():
        given = _name(info)
        path = clean_path(given)
        if given.endswith("/"):
            taken.add_folder(path)
            continue
        taken.add_file(path, given=given)
        if not is_always_ignored(path):
            members.append(_Member(path=path, info=info))
    return members


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name as it was meant. ``zipfile`` cuts names at a NUL and reads unmarked ones as code page 437,
    whereas macOS writes UTF-8 without marking it."""
    name = info.orig_filename
    if info.flag_bits & _UTF8:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _top_folder(paths: list[str]) -> str:
    """The one folder that everything lies in, unless it is a package that scripts import by its name."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    if len(tops) != 1 or any("/" not in path for path in paths):
        return ""
    (top,) = tops
    return "" if f"{top}/__init__.py" in paths else top


def _rules(archive: zipfile.ZipFile, members: list[_Member]) -> IgnoreRules:
    by_path = {member.path: member for member in members}
    for name in IGNORE_FILES:
        if name in by_path:
            _check_kind(by_path[name])
            with _reading(archive, by_path[name]) as read:
                return IgnoreRules.from_bytes(read(MAX_IGNORE_BYTES + 1), source=name)
    return IgnoreRules()


def _check(members: list[_Member], *, zip_bytes: int) -> None:
    for member in members:
        _check_kind(member)
    limits_check((member.path, member.info.file_size) for member in members)
    for member in members:
        _check_ratio(shown_name(member.path), member.info.file_size, member.info.compress_size)
    _check_ratio("The whole", sum(member.info.file_size for member in members), zip_bytes)


def _check_kind(member: _Member) -> None:
    """Raises SnapshotRefused for everything but a plain, readable file."""
    info, shown = member.info, shown_name(member.path)
    if info.flag_bits & _ENCRYPTED:
        raise SnapshotRefused(f"{shown} is encrypted. Pack the folder without a password.")
    if info.compress_type not in METHODS:
        raise SnapshotRefused(
            f"{shown} is compressed by method {info.compress_type}, which cannot be read. Pack it with deflate."
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise SnapshotRefused(f"{shown} is a symbolic link. Put the file itself there, or leave it out.")
    if kind not in (0, stat.S_IFREG):
        raise SnapshotRefused(f"{shown} is a device, a pipe or a socket. Leave it out.")


def _check_ratio(what: str, size_bytes: int, packed_bytes: int) -> None:
    if size_bytes > RATIO_MATTERS_BYTES and size_bytes > MOST_RATIO * max(packed_bytes, 1):
        raise SnapshotRefused(
            f"{what} would grow from {megabytes(packed_bytes)} to {megabytes(size_bytes)}, as only a zip bomb does."
        )


def _store(archive: zipfile.ZipFile, member: _Member) -> Entry:
    with _reading(archive, member) as read:
        blob = blob_store(read)
    executable = bool((member.info.external_attr >> 16) & stat.S_IXUSR)
    return Entry(path=member.path, sha256=blob.sha256, size_bytes=blob.size_bytes, executable=executable)


@contextmanager
def _reading(archive: zipfile.ZipFile, member: _Member) -> Iterator[Callable[[int], bytes]]:
    """A ``read(size)`` of the member. It ends at the size that the directory declares, whatever the stream holds, so
    the limits that were checked against the directory hold for what is really read."""
    with _refusing(f"{shown_name(member.path)} cannot be unpacked"), archive.open(member.info) as stream:
        yield stream.read


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turns everything that ``zipfile`` and its decompressors raise for bad bytes into a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error) as error:
        raise SnapshotRefused(f"{what}: the zip is damaged ({error}). Pack the folder again.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise SnapshotRefused(f"{what}: {error}. Pack the folder again with deflate and no password.") from error
