"""Shipping: a thread that posts what the streams have grown by, until the server has everything."""

import json
import os
import threading
import time
import traceback

from trainhouse.harness.files import mark
from trainhouse.harness.meeting import Meeting
from trainhouse.harness.wire import ServerAway, Wire

MIN_INTERVAL_S = 0.1
HEARTBEAT_S = 5.0
FRAME_BYTES = 980_000  # of segments; with its line of JSON a frame stays below 1 MB
_LINE_ROOM = {"points": 600_000, "samples": 100_000}
_ORDER = ("points", "samples", "harness", "output")
_POLL_ACTIVE_S, _POLL_IDLE_S, _ACTIVE_FOR_S = 0.04, 0.1, 3.0
_BACKOFF_FIRST_S, _BACKOFF_MOST_S = 0.5, 30.0
_SAVE_EVERY_S = 1.0


class Shipper(threading.Thread):
    """Ships the streams of ``spool``; all waiting for the server happens here and nowhere else.

    ``on_stop(grace_s)`` is called, in this thread, with every answer that asks the task to end.
    """

    def __init__(self, task, spool, words, *, on_stop):
        super().__init__(name="ship", daemon=True)
        self._done_path = task.path("done")
        self._spool = spool
        self._words = words
        self._on_stop = on_stop
        self._wire = Wire(task)
        self._meeting = Meeting(task, words)
        self._outputs = self._outputs_known = []
        self._exit = self._exit_known = None
        self._closing = False
        self._news = threading.Event()
        self._posted_at = self._saved_at = self._grew_at = float("-inf")
        self._away_since = None
        self._can_punch = True
        self._limit_said = False
        self._dismissed = False
        self.failure = None

    def outputs_are(self, listing):
        """Sets the list of files put out so far: ``[path, size, modified at]`` each."""
        self._outputs = listing

    def exit_is(self, record):
        """Sets how the script ended."""
        self._exit = record
        self._meeting.close()
        self._news.set()

    def close(self):
        """Says that nothing will be written any more; the thread ends when the server has it all."""
        self._closing = True
        self._news.set()

    def run(self):
        try:
            self._run()
        except BaseException:
            self.failure = traceback.format_exc()

    def _run(self):
        failures = 0
        while not self._finished():
            self._housekeeping()
            if not self._due():
                self._rest()
                continue
            self._posted_at = time.monotonic()
            try:
                wait_s = self._post()
            except ServerAway as error:
                self._away("does not answer ({})".format(error))
                wait_s = None
            failures = failures + 1 if wait_s is None else 0
            if wait_s is None:
                wait_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** min(failures - 1, 10)) * _jitter()
            if not self._finished():
                self._wait(wait_s)
        self._spool.save()
        self._wire.close()
        mark(self._done_path)
        while not self._closing:
            for stream in self._spool:
                stream.acknowledge(stream.end, stream.end)
            self._housekeeping()
            self._news.wait(_SAVE_EVERY_S)

    def _finished(self):
        return self._dismissed or (
            self._closing
            and all(stream.closed for stream in self._spool)
            and self._exit is self._exit_known
            and self._outputs is self._outputs_known
        )

    def _due(self):
        """Whether there is something to post or to ask. Costs one fstat a stream."""
        if self._closing or self._exit is not self._exit_known or self._outputs is not self._outputs_known:
            return True
        grown = [stream.name for stream in self._spool if stream.grew]
        if grown:
            if grown != ["samples"]:  # these come by the clock and say nothing about how busy the script is
                self._grew_at = time.monotonic()
            return True
        return self._meeting.is_due() or time.monotonic() - self._posted_at >= HEARTBEAT_S

    def _rest(self):
        active = time.monotonic() - self._grew_at < _ACTIVE_FOR_S
        self._news.wait(_POLL_ACTIVE_S if active else _POLL_IDLE_S)
        self._news.clear()

    def _wait(self, wait_s):
        """Waits before the next post: the minimal interval, or longer after a failure. A new address ends it."""
        until = self._posted_at + max(MIN_INTERVAL_S, wait_s)
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0 or (wait_s > MIN_INTERVAL_S and self._wire.moved()):
                return
            time.sleep(min(left_s, 0.25))

    def _post(self):
        """Posts one frame. Returns the seconds to wait before the next, None for a failure that calls for patience."""
        frame, sent, exit_sent, outputs_sent = self._frame()
        try:
            status, answer = self._wire.post(frame)
        except ServerAway:
            self._unread()
            raise
        if status == 200 and isinstance(answer, dict):
            self._here()
            self._exit_known, self._outputs_known = exit_sent, outputs_sent
            self._accept(answer.get("accepted") or {}, sent)
            self._meeting.answered(answer.get("cluster"))
            if isinstance(answer.get("stop"), dict):
                self._on_stop(answer["stop"].get("grace_s"))
            return 0.0
        if status == 410:
            self._dismissed = True
            if self._meeting.is_open:
                self._on_stop(0.0)  # the others will not come any more
            return 0.0
        self._unread()
        said = answer.get("error") if isinstance(answer, dict) else None
        self._away("answers {}{}".format(status, ": {}".format(said) if said else ""))
        if status == 401:
            self._wire.close()  # the token is read again
            return _BACKOFF_MOST_S
        return None

    def _frame(self):
        """The next frame, and what it holds: end offset and eof by stream, the exit, the outputs."""
        self._limit_say()
        header = {"v": 1}
        segments, parts, sent = [], [], {}
        room = FRAME_BYTES
        outputs, exit_record = self._outputs, self._exit
        if outputs is not self._outputs_known:
            header["outputs"] = outputs
            room -= len(json.dumps(outputs))
        for name in _ORDER:
            stream = self._spool.streams[name]
            if stream.closed:
                continue
            ending = self._closing or stream.is_full
            data = stream.read(_LINE_ROOM.get(name, room)) if stream.grew else b""
            eof = ending and not stream.grew
            if not data and not eof:
                continue
            room -= len(data)
            segments.append({"stream": name, "offset": stream.acknowledged, "size": len(data), "eof": eof})
            parts.append(data)
            sent[name] = (stream.acknowledged + len(data), eof)
            if eof and stream.is_full:
                header["notice"] = {name: _limit_notice(stream.limit_bytes)}
        header["segments"] = segments
        question = self._meeting.question()
        if question is not None:
            header["meet"] = question
        if exit_record is not None:
            header["exit"] = exit_record
            if exit_record.get("why"):
                header.setdefault("notice", {})["harness"] = exit_record["why"]
        return b"".join([json.dumps(header).encode("ascii"), b"\n", *parts]), sent, exit_record, outputs

    def _accept(self, accepted, sent):
        for name, (end, eof) in sent.items():
            stream = self._spool.streams[name]
            offset = accepted.get(name)
            if not isinstance(offset, int):
                stream.unread()
                continue
            stream.acknowledge(offset, end)
            stream.closed = eof and offset == end

    def _limit_say(self):
        """Says once that the limit is reached, before the stream that carries the sentence can be closed."""
        output = self._spool.streams["output"]
        if output.is_full and not self._limit_said and output.acknowledged < output.limit_bytes:
            self._limit_said = True
            self._words.say(_limit_notice(output.limit_bytes))

    def _unread(self):
        for stream in self._spool:
            stream.unread()

    def _housekeeping(self):
        """Writes the offsets down and gives disk back, once a second."""
        now = time.monotonic()
        if now - self._saved_at < _SAVE_EVERY_S:
            return
        self._saved_at = now
        self._spool.save()
        if self._can_punch:
            try:
                self._spool.punch()
            except OSError as error:
                self._can_punch = False
                self._words.say(
                    "This file system cannot give parts of a file back ({}): the spool keeps its size until the task "
                    "is cleaned up.".format(error.strerror)
                )

    def _away(self, what):
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._words.say(
                "The server at {} {}. Everything is kept here and sent later.".format(self._wire.address, what)
            )

    def _here(self):
        if self._away_since is not None:
            away_s = time.monotonic() - self._away_since
            self._away_since = None
            self._words.say("The server at {} is back after {:.0f} s.".format(self._wire.address, away_s))


def _limit_notice(limit_bytes):
    return (
        "The output has reached this run's limit of {:,} bytes; the rest is not collected. The script goes on.".format(
            limit_bytes
        )
    )


def _jitter():
    """A factor between 0.5 and 1, so that many tasks do not come back at the same moment."""
    return 0.5 + int.from_bytes(os.urandom(2), "big") / 131072
