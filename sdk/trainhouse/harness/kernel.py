"""What the kernel offers and Python's standard library does not: adopting orphans, giving file ranges back."""

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans():
    """Makes this process the parent of every descendant whose own parent ends (``prctl(2)``, Linux 3.4), so that a
    child that left its process group or session can still be found. False when the kernel refuses."""
    return _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def hole_punch(descriptor, start, end):
    """Gives the blocks of ``start`` to ``end`` back to the disk; size and offsets stay, the range reads as zeros.

    Raises OSError where the file system cannot do it.
    """
    call = getattr(_libc, "fallocate64", None) or _libc.fallocate
    mode = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
    if call(descriptor, mode, ctypes.c_int64(start), ctypes.c_int64(end - start)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
