"""Which files the script has put out so far: ``work/outputs`` and ``uploads``, once they are settled."""

import json
import os
import stat
import time

PART_SUFFIX = ".trainhouse-part"  # a file that the in-job API is still copying
_EVERY_S = 2.0
_SETTLED_S = 2.0
_MOST_LISTED = 2000
_MOST_LISTED_BYTES = 200_000
_MOST_VISITED = 20_000
_REST_FACTOR = 20


class Outputs:
    """Lists files as ``[path, size in bytes, modified at]``, sorted by path.

    A file counts as settled when size and modification time stay the same for 2 s. Links and special files are passed
    over, and so are names that are no UTF-8.
    """

    def __init__(self, task, words):
        self._roots = (("outputs", task.path("work", "outputs")), ("uploads", task.path("uploads")))
        self._words = words
        self._due_at = 0.0
        self._seen = {}
        self._too_many_said = False

    def tick(self):
        """The settled files if it is time to look, else None."""
        now = time.monotonic()
        if now < self._due_at:
            return None
        found = self._scan()
        self._seen = {
            path: (facts, self._seen[path][1] if path in self._seen and self._seen[path][0] == facts else now)
            for path, facts in found.items()
        }
        took_s = time.monotonic() - now
        self._due_at = now + max(_EVERY_S, _REST_FACTOR * took_s)
        return self._listing(path for path, (_, since) in self._seen.items() if now - since >= _SETTLED_S)

    def final(self):
        """Every file, now that nothing writes any more."""
        self._seen = {path: (facts, 0.0) for path, facts in self._scan().items()}
        return self._listing(self._seen)

    def _listing(self, paths):
        listing, room = [], _MOST_LISTED_BYTES
        paths = sorted(paths)
        for path in paths[:_MOST_LISTED]:
            size_bytes, modified_at = self._seen[path][0]
            room -= len(json.dumps(path)) + 40
            if room < 0:
                break
            listing.append([path, size_bytes, modified_at])
        if len(listing) < len(paths) and not self._too_many_said:
            self._too_many_said = True
            self._words.say(
                "There are more output files than are listed: the first {} by name are. Put many small files into one "
                "archive.".format(len(listing))
            )
        return listing

    def _scan(self):
        found, visited = {}, 0
        pending = [(prefix, root) for prefix, root in self._roots if _is_folder(root)]
        while pending and visited < _MOST_VISITED:
            prefix, folder = pending.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        visited += 1
                        path = prefix + "/" + entry.name
                        facts = _facts(entry)
                        if facts is None or not _is_utf8(entry.name) or entry.name.endswith(PART_SUFFIX):
                            continue
                        if stat.S_ISDIR(facts.st_mode):
                            pending.append((path, entry.path))
                        elif stat.S_ISREG(facts.st_mode):
                            found[path] = (facts.st_size, facts.st_mtime)
            except OSError:
                continue  # the folder went away, or its owner closed it
        return found


def _is_folder(path):
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _facts(entry):
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _is_utf8(name):
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
