"""What the end of a zip file says about its size, read before ``zipfile`` builds an object for every member.

Layout: APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16 (end of central directory, with its 64-bit form).
"""

import struct
from typing import IO

from runs.errors import SnapshotRefused

MOST_MEMBERS = 50_000

#: A member takes 46 bytes in the directory, its name and some extra fields; this leaves 250 bytes to each.
MOST_DIRECTORY_BYTES = MOST_MEMBERS * 250

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_MOST_COMMENT_BYTES = 65_535


def directory_check(file: IO[bytes], *, label: str) -> None:
    """Looks at the directory's size without reading it; leaves the position anywhere. Raises SnapshotRefused when
    ``file`` is no zip, or has more members than anyone's source folder."""
    end = file.seek(0, 2)
    tail_at = max(0, end - _MOST_COMMENT_BYTES - _END.size)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise SnapshotRefused(f"{label} is not a zip file, or its end is missing. Pack the folder again and upload it.")
    _, _, _, _, members, directory_bytes, _, _ = _END.unpack_from(tail, at)
    if members == 0xFFFF or directory_bytes == 0xFFFFFFFF:
        members, directory_bytes = _sizes_64(file, tail_at + at, members, directory_bytes)
    if members > MOST_MEMBERS or directory_bytes > MOST_DIRECTORY_BYTES:
        raise SnapshotRefused(
            f"{label} has {members:,} members in a directory of {directory_bytes:,} bytes; {MOST_MEMBERS:,} members "
            "are allowed. Leave out .git, .venv and data before packing."
        )


def _sizes_64(file: IO[bytes], end_at: int, members: int, directory_bytes: int) -> tuple[int, int]:
    """The sizes of the 64-bit record when there is one; those given otherwise."""
    locator_at = end_at - _LOCATOR_64.size
    if locator_at < 0:
        return members, directory_bytes
    file.seek(locator_at)
    signature, _, record_at, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if signature != b"PK\x06\x07" or record_at > locator_at - _END_64.size:
        return members, directory_bytes
    file.seek(record_at)
    record = _END_64.unpack(file.read(_END_64.size))
    return (record[7], record[8]) if record[0] == b"PK\x06\x06" else (members, directory_bytes)
