"""Files handed to the run: copied at once, so that the script may change or delete its own."""

import os
import shutil

from trainhouse.harness.outputs import PART_SUFFIX


def upload_name_checked(name):
    """``name`` as a relative path below the run's uploads. Raises TypeError or ValueError, in a sentence."""
    if not isinstance(name, str):
        raise TypeError("The name of an upload must be a string, not {}: {!r}.".format(type(name).__name__, name))
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise ValueError(
            "The name of an upload must be a relative path without '..', such as 'models/best.keras', not {!r}.".format(
                name
            )
        )
    parts = [part for part in parts if part not in ("", ".")]
    if not parts or any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise ValueError(
            "The name of an upload must name a file and hold no control characters, not {!r}.".format(name)
        )
    try:
        longest = max(len(part.encode("utf-8")) for part in parts)
    except UnicodeEncodeError as error:
        raise ValueError("The name of an upload must be valid Unicode, not {!r}.".format(name)) from error
    if longest > 255 - len(PART_SUFFIX):
        raise ValueError("A part of the upload's name is longer than a file name may be: {!r}.".format(name))
    return "/".join(parts)


def upload_source_checked(path, *, folder=False):
    """``path`` as a string. Raises FileNotFoundError, or ValueError when it is not a file (or not a folder)."""
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError("There is nothing at {!r} (looked from {}).".format(path, os.getcwd()))
    if folder and not os.path.isdir(path):
        raise ValueError("{!r} is not a folder. Use upload_file for a file.".format(path))
    if not folder and not os.path.isfile(path):
        raise ValueError("{!r} is not a regular file. Use upload_folder for a folder.".format(path))
    return path


def upload_copy(root, name, path):
    """Copies the file ``path`` to ``name`` below the folder ``root``; an earlier upload of that name is replaced."""
    target = os.path.join(root, name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    part = "{}{}".format(target, PART_SUFFIX)
    try:
        shutil.copyfile(path, part)
        os.replace(part, target)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise


def upload_free_name(root, name):
    """``name`` with a number before its suffix that no upload below ``root`` has yet: ``images/loss-3.png``."""
    stem, suffix = os.path.splitext(name)
    number = 1
    while True:
        candidate = "{}-{}{}".format(stem, number, suffix)
        target = os.path.join(root, candidate)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.close(os.open(target + PART_SUFFIX, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            number += 1
            continue
        if not os.path.exists(target):
            return candidate
        os.unlink(target + PART_SUFFIX)
        number += 1


def files_below(folder):
    """``(relative name, path)`` of every file below ``folder``, sorted. Links to folders are not followed."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path):
                found.append((os.path.relpath(path, folder), path))
    return sorted(found)
