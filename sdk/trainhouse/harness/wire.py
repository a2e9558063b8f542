"""One connection to the server, kept open. The address is read from a file, so that a server that moved is found."""

import http.client
import json
import os
import socket
from urllib.parse import urlsplit

from trainhouse.harness.files import text_read

_TIMEOUT_S = 30.0
_ANSWER_BYTES = 1 << 20


class ServerAway(Exception):
    """No answer came. The message says why, as part of a sentence."""


class Wire:
    """Posts frames to the address in ``server`` with the secret in ``token``."""

    def __init__(self, task):
        self._server_path = task.path("server")
        self._token_path = task.path("token")
        self._stamp = None
        self._address = None
        self._connection = None
        self._connected = False

    @property
    def address(self):
        """The address used last, for sentences."""
        return self._address or "(no address)"

    def moved(self):
        """True when the file with the server's address has been replaced since the last post."""
        return self._stamp_now() != self._stamp

    def post(self, frame):
        """Posts ``frame`` (bytes) and returns the status and the parsed answer (None when it is no JSON).

        Blocks for 30 s at most. Raises ServerAway when no answer comes.
        """
        if self._connection is None or self.moved():
            self._open()
        reused = self._connected
        try:
            return self._exchange(frame)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            # A server may close an idle connection just as we use it again: that is no absence.
            if not reused or isinstance(error, socket.timeout):
                raise ServerAway(_reason(error)) from error
        self._open()
        try:
            return self._exchange(frame)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise ServerAway(_reason(error)) from error

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._connected = False

    def _open(self):
        self.close()
        self._stamp = self._stamp_now()
        self._address = text_read(self._server_path)
        if not self._address:
            raise ServerAway("the file with its address is empty or absent")
        url = urlsplit(self._address)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if url.scheme not in kinds or not url.hostname:
            raise ServerAway("its address must begin with http:// or https://")
        self._path = url.path.rstrip("/") + "/api/v1/ingest"
        self._headers = {
            "Authorization": "Bearer " + (text_read(self._token_path) or ""),
            "Content-Type": "application/x-trainhouse-frame",
        }
        try:
            self._connection = kinds[url.scheme](url.hostname, url.port, timeout=_TIMEOUT_S)
        except ValueError as error:
            raise ServerAway("its address has no valid port") from error

    def _exchange(self, frame):
        self._connection.request("POST", self._path, body=frame, headers=self._headers)
        self._connected = True
        response = self._connection.getresponse()
        body = response.read(_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        return response.status, answer

    def _stamp_now(self):
        try:
            status = os.stat(self._server_path)
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)


def _reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
