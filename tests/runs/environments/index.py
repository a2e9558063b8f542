"""A package index of our own: tiny wheels and source packages, served over HTTP, with a password when wanted."""

import base64
import hashlib
import io
import re
import ssl
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: A build backend that lies inside the source package, so that its build needs nothing from anywhere.
BACKEND = """
import base64, hashlib, os, sys, time, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {action}
    name = "{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("{name}.py", "")
        wheel.writestr("{name}-{version}.dist-info/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr("{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("{name}-{version}.dist-info/RECORD", "")
    return name
"""  # noqa: E501
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class Index:
    """Serves what was added under ``/simple/``. ``password`` makes it ask for user ``reader``; of a file in ``cut`` it
    sends half and hangs up, of one in ``stalled`` half and then nothing until it stops. Where ``with_metadata``, a
    wheel's metadata can be had without the wheel (PEP 658), as on PyPI. Asked as a proxy, it answers for every host.
    ``certificate`` is a file with a key and its certificate for TLS."""

    def __init__(self, *, certificate: str = "") -> None:
        self.files: dict[str, bytes] = {}
        self.password = ""
        self.cut: set[str] = set()
        self.stalled: set[str] = set()
        self.with_metadata = False
        self.requests: list[str] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        user = f"reader:{self.password}@" if self.password else ""
        return f"{self._scheme}://{user}127.0.0.1:{self.port}/simple"

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def add_wheel(
        self,
        name: str,
        version: str,
        *,
        requires: tuple[str, ...] = (),
        module: str = "",
        files: dict[str, str] | None = None,
    ) -> None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        content = {
            f"{name}.py": module or f"version = {version!r}\n",
            **(files or {}),
            f"{name}-{version}.dist-info/METADATA": metadata,
            f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},{_record(text)},{len(text)}\n" for path, text in content.items())
        content[f"{name}-{version}.dist-info/RECORD"] = f"{record}{name}-{version}.dist-info/RECORD,,\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as wheel:
            for path, text in content.items():
                wheel.writestr(path, text)
        self.files[f"{name}-{version}-py3-none-any.whl"] = buffer.getvalue()

    def add_source(self, name: str, version: str, *, action: str) -> None:
        """A source package whose build runs ``action``, one Python statement, first."""
        content = {
            "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": PYPROJECT + f'[project]\nname = "{name}"\nversion = "{version}"\n',
            "backend.py": BACKEND.format(name=name, version=version, action=action),
        }
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path, text in content.items():
                facts = tarfile.TarInfo(f"{name}-{version}/{path}")
                facts.size = len(text.encode())
                archive.addfile(facts, io.BytesIO(text.encode()))
        self.files[f"{name}-{version}.tar.gz"] = buffer.getvalue()

    def _content(self, name: str) -> bytes | None:
        if not name.endswith(".metadata"):
            return self.files.get(name)
        with zipfile.ZipFile(io.BytesIO(self.files[name.removesuffix(".metadata")])) as wheel:
            return wheel.read(next(path for path in wheel.namelist() if path.endswith("/METADATA")))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                index.requests.append(self.path)
                self.path = re.sub(r"^http://[^/]+", "", self.path)
                if index.password and self.headers.get("Authorization") != _basic("reader", index.password):
                    self._answer(401, b"", "text/plain")
                elif self.path.startswith("/files/"):
                    content = index._content(self.path.removeprefix("/files/"))
                    self._answer(200 if content else 404, content or b"", "application/octet-stream")
                else:
                    self._listing(self.path.strip("/").removeprefix("simple").strip("/"))

            do_HEAD = do_GET

            def _listing(self, name: str) -> None:
                found = [file for file in index.files if file.split("-")[0] == name.replace("-", "_")]
                more = ' data-core-metadata="true"' if index.with_metadata else ""
                links = "".join(
                    f'<a href="/files/{file}#sha256={hashlib.sha256(index.files[file]).hexdigest()}"{more}>{file}</a>'
                    for file in found
                )
                self._answer(200 if found else 404, f"<html><body>{links}</body></html>".encode(), "text/html")

            def _answer(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
                name = self.path.removeprefix("/files/")
                if self.command == "GET" and name in index.cut | index.stalled:
                    self.wfile.write(content[: len(content) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    if name in index.stalled:
                        index._stopped.wait()
                elif self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _record(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
