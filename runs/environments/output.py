"""What a build says, on its way into the environment's stream.

Commands hand over bytes in any pieces. Passwords are taken out line by line, which is why a line is held back until
it is whole, or longer than any line that is worth waiting for.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from django.conf import settings

from compute.package_index import package_index
from runs.live.doorbell import ring_environment
from runs.models import Environment, Stream
from runs.states import StreamKind
from runs.stores.logs import log_write

STREAM_NAME = "build"
LONGEST_LINE_BYTES = 16 * 1024

#: Of all that the commands of one build say.
MOST_LOG_BYTES = 64 * 1024 * 1024

#: So much of the end of a command's output is kept, to find out why it failed.
KEPT_BYTES = 64 * 1024

_USER_INFO = re.compile(rb"(?<=://)[^/\s'\"`]+(?=@)")
_SECRET_VARIABLE = re.compile(r"PASSWORD|TOKEN|SECRET", re.IGNORECASE)
_SHORTEST_SECRET = 4


class BuildOutput:
    """The stream of one build. ``environ`` holds the variables whose secrets must not appear."""

    def __init__(self, environment: Environment, *, environ: Mapping[str, str]) -> None:
        self._environment_id = environment.pk
        self._secrets = secrets_of(environ)
        self._left_bytes = MOST_LOG_BYTES
        self._stream, _ = Stream.objects.get_or_create(
            environment=environment, name=STREAM_NAME, defaults={"kind": StreamKind.LOG}
        )
        Stream.objects.filter(pk=self._stream.pk).update(is_closed=False)

    def say(self, sentence: str) -> None:
        """Writes a line of the platform's own."""
        self._append(f"{sentence}\n".encode())

    def reader(self, *, each_line: Callable[[str], bool] = lambda line: True) -> "CommandOutput":
        """For one command. ``each_line`` gets every whole line as text and says whether it belongs into the log."""
        return CommandOutput(self, each_line)

    def masked(self, line: bytes) -> bytes:
        """``line`` as it may be shown."""
        return masked_line(line, self._secrets)

    def close(self) -> None:
        """Nothing more comes for now; a later build of the same environment opens the stream again."""
        Stream.objects.filter(pk=self._stream.pk).update(is_closed=True)
        ring_environment(self._environment_id)

    def write(self, data: bytes) -> None:
        """Adds masked bytes of a command to the stream, up to a limit: a package that is built prints what it
        likes for as long as a build may take."""
        if self._left_bytes <= 0:
            return
        self._append(data[: self._left_bytes])
        self._left_bytes -= len(data)
        if self._left_bytes <= 0:
            self.say(f"\nThe log is full ({MOST_LOG_BYTES:,} bytes): what else commands say is left out.")

    def _append(self, data: bytes) -> None:
        log_write(self._stream.pk, data)
        ring_environment(self._environment_id)


class CommandOutput:
    """Takes one command's output (``write``) and keeps its masked end (``tail``)."""

    def __init__(self, output: BuildOutput, each_line: Callable[[str], bool]) -> None:
        self._output = output
        self._each_line = each_line
        self._held = b""
        self._kept = b""

    def write(self, data: bytes) -> None:
        """A piece of output as it comes."""
        *lines, self._held = (self._held + data).split(b"\n")
        if len(self._held) > LONGEST_LINE_BYTES:
            lines, self._held = [*lines, self._held], b""
        self._take(lines)

    def finish(self) -> None:
        """The command has ended: what was held back is a line too."""
        if self._held:
            self._take([self._held])
            self._held = b""

    @property
    def tail(self) -> str:
        """The end of what went into the log."""
        return self._kept.decode("utf-8", "replace")

    def _take(self, lines: list[bytes]) -> None:
        masked = [self._output.masked(line) for line in lines]
        shown = b"".join(line + b"\n" for line in masked if self._each_line(line.decode("utf-8", "replace")))
        if shown:
            self._kept = (self._kept + shown)[-KEPT_BYTES:]
            self._output.write(shown)


def secrets_of(environ: Mapping[str, str]) -> list[bytes]:
    """What must not appear anywhere: values of ``environ``, and the passwords of the package index."""
    named = [
        value for name, value in environ.items() if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    ]
    secrets = {*named, *package_index(environ, wheelhouse=settings.ENV.wheelhouse).secrets}
    return sorted((secret.encode() for secret in secrets), key=len, reverse=True)


def masked_line(line: bytes, secrets: Sequence[bytes]) -> bytes:
    """``line`` without user names and passwords in addresses, and without any of ``secrets``."""
    line = _USER_INFO.sub(b"***", line)
    for secret in secrets:
        line = line.replace(secret, b"***")
    return line
