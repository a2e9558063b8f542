"""Small files of the task folder, replaced whole so that a reader never sees half of one."""

import json
import os

_RESERVED_BYTES = 1024


def json_write(path, document):
    """Replaces ``path`` by ``document`` in one step."""
    text_write(path, json.dumps(document) + "\n")


def json_reserve(path):
    """Takes the disk space for a later ``json_write_reserved(path)``, which then succeeds on a full disk too."""
    text_write(path + ".reserved", " " * _RESERVED_BYTES)


def json_write_reserved(path, document):
    """Replaces ``path`` by ``document`` in one step, in the space reserved for it; blanks fill what is left."""
    reserved = path + ".reserved"
    descriptor = os.open(reserved, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, json.dumps(document).encode("utf-8").ljust(_RESERVED_BYTES - 1) + b"\n", 0)
    finally:
        os.close(descriptor)
    os.replace(reserved, path)


def json_read(path):
    """The document in ``path``, or None when it is absent or no JSON."""
    text = text_read(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def text_read(path):
    """The text in ``path`` without surrounding blanks, or None when the file is absent."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape").strip()
    except FileNotFoundError:
        return None


def mark(path):
    """Makes the empty file ``path``, for which a full disk still has room."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def text_write(path, text):
    """Replaces ``path`` by ``text`` in one step."""
    fresh = path + ".new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode("utf-8"))
    finally:
        os.close(descriptor)
    os.replace(fresh, path)
