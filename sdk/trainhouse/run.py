"""The run as its own script sees it: ``from trainhouse import Run``."""

import errno
import os
import re
import sys
import tempfile
import time

from trainhouse.records import RecordFile
from trainhouse.uploads import (
    files_below,
    upload_copy,
    upload_free_name,
    upload_name_checked,
    upload_source_checked,
)
from trainhouse.values import TAG_CHARACTERS_MOST, cell_checked, name_checked, number_checked, step_checked

_PRINTED_CHARACTERS_MOST = 500
_THE_DISKS_FAULT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class Run:
    """Logs metrics, tables, images, tags and files of the run that the script belongs to.

    ``Run.get_context()`` returns it. Away from the platform the same methods check the same rules and print. Methods
    may be called from several threads and from forked children; the records of one thread keep their order.
    """

    def __init__(self, environ, sink):
        self._environ = environ
        self._sink = sink

    @classmethod
    def get_context(cls, allow_offline=True):
        """The live run, or an offline one that prints. With ``allow_offline=False`` the latter is a RuntimeError."""
        points = os.environ.get("TRAINHOUSE_POINTS")
        if points:
            uploads = os.environ.get("TRAINHOUSE_UPLOADS") or _uploads_beside(points)
            return cls(os.environ, _live_sink(points, uploads))
        if not allow_offline:
            raise RuntimeError("This script does not run on Trainhouse: the variable TRAINHOUSE_POINTS is not set.")
        return cls({}, _OfflineSink())

    @property
    def id(self):
        """The run's identifier, "offline" off the platform."""
        return self._environ.get("TRAINHOUSE_RUN_ID", "offline")

    @property
    def name(self):
        """The run's name; empty off the platform."""
        return self._environ.get("TRAINHOUSE_RUN_NAME", "")

    @property
    def experiment(self):
        """The name of the experiment; empty off the platform."""
        return self._environ.get("TRAINHOUSE_EXPERIMENT", "")

    @property
    def number(self):
        """The run's number within its experiment, None off the platform."""
        number = self._environ.get("TRAINHOUSE_RUN_NUMBER", "")
        return int(number) if number.isdigit() else None

    def log(self, name, value, step=None):
        """Logs one number under ``name``; repeated calls make a series. A string is kept as text.

        ``step`` is the x of the chart, None for the next index. Raises TypeError, ValueError.
        """
        name_checked(name)
        if isinstance(value, str):
            return self._record("text", name, {"text": cell_checked(name, value)})
        value, step = number_checked(name, value), step_checked(step)
        self._sink.write({"k": "point", "n": name, "s": step, "t": time.time(), "v": value})

    def log_list(self, name, value):
        """Logs a sequence of numbers, strings, truth values or None as one record."""
        name_checked(name)
        self._record("list", name, {"values": _cells(name, value)})

    def log_row(self, name, /, **columns):
        """Logs one row of a table: one cell a column."""
        name_checked(name)
        if not columns:
            raise ValueError("A row needs at least one column: log_row({!r}, x=1, y=2).".format(name))
        row = {name_checked(column, "column"): cell_checked(column, cell) for column, cell in columns.items()}
        self._record("row", name, row)

    def log_table(self, name, value):
        """Logs a whole table: a dictionary of columns of equal length. A column may also be one cell."""
        name_checked(name)
        if not isinstance(value, dict) or not value:
            raise TypeError("A table is a dictionary of columns, such as {{'x': [1, 2]}}, not {!r}.".format(value))
        table = {name_checked(column, "column"): _cells(column, cells) for column, cells in value.items()}
        lengths = {column: len(cells) for column, cells in table.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError("The columns of the table {!r} differ in length: {}.".format(name, lengths))
        self._record("table", name, table)

    def log_image(self, name, path=None, plot=None):
        """Logs an image: a file, or a figure with ``savefig`` (matplotlib's ``plt``, a Figure). Repeats are kept."""
        name_checked(name)
        if (path is None) == (plot is None):
            raise ValueError("log_image needs either path= or plot=.")
        if plot is not None:
            if not callable(getattr(plot, "savefig", None)):
                raise TypeError(
                    "plot= needs something with savefig(), such as matplotlib.pyplot, not {!r}.".format(plot)
                )
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "plot.png")
                plot.savefig(path, format="png")
                kept = self._sink.keep_numbered(_image_name(name, ".png"), path)
        else:
            path = upload_source_checked(path)
            kept = self._sink.keep_numbered(_image_name(name, os.path.splitext(path)[1]), path)
        self._record("image", name, {"path": kept})

    def tag(self, key, value=None):
        """Sets one tag of the run; without a value it is a mere mark."""
        self.set_tags({key: value})

    def set_tags(self, tags):
        """Sets several tags; others stay as they are."""
        if not isinstance(tags, dict):
            raise TypeError("Tags are a dictionary, such as {{'dataset': 'v2'}}, not {!r}.".format(tags))
        texts = {
            name_checked(key, "tag", TAG_CHARACTERS_MOST): "" if value is None else str(value)
            for key, value in tags.items()
        }
        for key, text in texts.items():
            if text:
                name_checked(text, "value of the tag {!r}".format(key), TAG_CHARACTERS_MOST)
        self._sink.write({"k": "tags", "d": texts})

    def upload_file(self, name, path):
        """Keeps a copy of the file ``path`` with the run, as ``name``: a relative path without "..".

        Raises FileNotFoundError, TypeError, ValueError.
        """
        name = upload_name_checked(name)
        self._sink.keep(name, upload_source_checked(path))

    def upload_folder(self, name, path):
        """Keeps copies of all files below the folder ``path`` with the run, below ``name``."""
        name = upload_name_checked(name)
        path = upload_source_checked(path, folder=True)
        for below, file in files_below(path):
            self._sink.keep(upload_name_checked(name + "/" + below), file)

    def _record(self, kind, name, content):
        self._sink.write({"k": kind, "n": name, "d": content, "t": time.time()})


class _LiveSink:
    """Hands records and files to the harness. A full disk is told once on stderr and costs what did not fit."""

    def __init__(self, points, uploads):
        self._uploads = uploads
        self._warned = False
        self.write = RecordFile(points).write

    def keep(self, name, path):
        self._kept(upload_copy, name, path)

    def keep_numbered(self, name, path):
        name = self._kept(upload_free_name, name) or name
        self.keep(name, path)
        return "uploads/" + name

    def _kept(self, act, *arguments):
        try:
            return act(self._uploads, *arguments)
        except OSError as error:
            if error.errno not in _THE_DISKS_FAULT:
                raise
            if not self._warned:
                self._warned = True
                sys.stderr.write(
                    "trainhouse: {} could not be kept: {}.\n".format(arguments[0], error.strerror or error)
                )


class _OfflineSink:
    """Prints what would have been kept."""

    def write(self, record):
        name, step = record.get("n"), record.get("s")
        if record["k"] == "point":
            at = "" if step is None else " (step {})".format(step)
            text = "{} = {:g}{}".format(name, record["v"], at)
        else:
            text = "{} {}{}".format(record["k"], name + " " if name else "", record["d"])
        self._print(text)

    def keep(self, name, path):
        self._print("file {} from {}".format(name, path))

    def keep_numbered(self, name, path):
        self.keep(name, path)
        return "uploads/" + name

    def _print(self, text):
        if len(text) > _PRINTED_CHARACTERS_MOST:
            text = text[:_PRINTED_CHARACTERS_MOST] + "…"
        print("[trainhouse, offline] " + text, flush=True)


_live_sinks = {}


def _live_sink(points, uploads):
    """One sink a process and place, so that every ``get_context`` shares one file descriptor."""
    if (points, uploads) not in _live_sinks:
        _live_sinks[points, uploads] = _LiveSink(points, uploads)
    return _live_sinks[points, uploads]


def _uploads_beside(points):
    """The task folder's uploads, for ``<task folder>/spool/points``."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(points))), "uploads")


def _cells(name, values):
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        return [cell_checked(name, values)]
    if hasattr(values, "tolist"):
        values = values.tolist()  # a thousand times faster than element by element
        if not isinstance(values, list):
            values = [values]
    return [cell_checked(name, cell) for cell in values]


def _image_name(name, suffix):
    """A file name that still reads like ``name``."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "image"
    return "images/{}{}".format(plain[:80], suffix.lower())
