"""A person's browser without scripts: signs in, posts forms, downloads. Standard library only."""

import io
import json
import re
import urllib.request
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError


class Person:
    """Someone signed in at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def sign_in(self, path: str) -> None:
        """Uses a one-time sign-in link as its page's button does."""
        self.get(path)
        self.post(path)

    def get(self, path: str) -> bytes:
        with self._opener.open(self.url + path, timeout=30) as response:
            return response.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def status(self, path: str) -> int:
        """The status of a GET, errors included."""
        try:
            with self._opener.open(self.url + path, timeout=30) as response:
                return response.status
        except HTTPError as error:
            return error.code

    def post(
        self,
        path: str,
        fields: Iterable[tuple[str, str]] = (),
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> tuple[str, str]:
        """Posts a form; the address it led to, and the page there."""
        boundary = uuid.uuid4().hex
        body = io.BytesIO()
        for name, value in (("csrfmiddlewaretoken", self._csrf_token()), *fields):
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            body.write(head.encode() + value.encode("utf-8", "surrogatepass") + b"\r\n")
        for name, (filename, data) in (files or {}).items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            body.write(head.encode() + b"Content-Type: application/zip\r\n\r\n" + data + b"\r\n")
        body.write(f"--{boundary}--\r\n".encode())
        request = urllib.request.Request(
            self.url + path,
            data=body.getvalue(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "Referer": self.url + path},
        )
        try:
            with self._opener.open(request, timeout=60) as response:
                return response.url.removeprefix(self.url), response.read().decode()
        except HTTPError as error:
            return error.url.removeprefix(self.url), error.read().decode()

    def submit(self, script: str | Mapping[str, str], **answers: Any) -> int:
        """Submits a run through the form and returns its id. ``script`` is train.py, or all files of the source.

        ``params`` and ``variables`` are pairs; other answers are the form's fields.
        """
        address, page = self.submit_form(script, **answers)
        found = re.fullmatch(r"/runs/(\d+)/", address)
        assert found, f"the form was not taken: {re.findall('invalid-feedback[^>]*>([^<]+)', page)}\n{page[:3000]}"
        return int(found.group(1))

    def submit_form(self, script: str | Mapping[str, str], **answers: Any) -> tuple[str, str]:
        """Posts the form of a new run; the address it led to, and the page there."""
        files = {"train.py": script} if isinstance(script, str) else script
        fields = {
            "submission_key": str(uuid.uuid4()),
            "source": "upload",
            "entry_script": "train.py",
            "compute_target": "local",
            "keras_metrics": "on",
            "experiment": "tests",
        }
        rows = []
        for field in ("params", "variables"):
            form_field = {"params": "script_params", "variables": "environment_variables"}[field]
            for name, value in answers.pop(field, ()):
                rows += [(f"{form_field}.name", name), (f"{form_field}.value", value)]
        fields |= {name: str(value) for name, value in answers.items()}
        self.get("/runs/new")
        return self.post("/runs/new", [*fields.items(), *rows], {"archive": ("source.zip", zip_of(files))})

    def _csrf_token(self) -> str:
        return next((cookie.value or "" for cookie in self.cookies if cookie.name == "csrftoken"), "")


def zip_of(files: Mapping[str, str]) -> bytes:
    """A zip file with these texts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()
