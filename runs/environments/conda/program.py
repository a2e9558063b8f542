"""What a build runs to work with conda channels: a program of its own that imports nothing of the platform.

Its argument is the order as JSON, or a file that holds it. It answers on standard output, one JSON object a line under
the key ``conda``: ``{"channel"}``, ``{"record"}``, ``{"progress"}``, ``{"distribution"}``, and ``{"error"}`` for what
went wrong in rattler's words. It ends with 0 in all these cases. Written for py-rattler 0.28 and Python 3.10.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

#: The answers are read line by line, and a line that is too long would be cut.
_MOST_CHARACTERS = 6_000
#: A channel has one of these for ``noarch``, the lightest first.
_INDEXES = ("repodata_shards.msgpack.zst", "repodata.json.zst", "repodata.json")
_RETRIES = 3
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+]*")


def main() -> None:
    """Does what the order says."""
    said = sys.argv[1]
    order = json.loads(said if said.startswith("{") else Path(said).read_text())
    try:
        _ACTIONS[order["action"]](order)
    except Exception as error:
        _answer("error", {"kind": type(error).__name__, "text": str(error)[:_MOST_CHARACTERS]})


def _answer(kind: str, value: Any) -> None:
    sys.stdout.write(json.dumps({"conda": {kind: value}}) + "\n")
    sys.stdout.flush()


def _probe(order: dict[str, Any]) -> None:
    """Which channels answer, all asked at once: ``there``, ``absent`` (its host has no such channel) or ``silent``."""
    answers: dict[str, dict[str, str]] = {}
    threads = [
        threading.Thread(target=lambda url=url: answers.update({url: _asked(url, order["timeout_s"])}), daemon=True)
        for url in order["channels"]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(order["timeout_s"])
    for url in order["channels"]:
        silent = {"url": url, "is": "silent", "reason": f"no answer within {order['timeout_s']:g} s"}
        _answer("channel", answers.get(url, silent))


def _asked(url: str, timeout_s: float) -> dict[str, str]:
    if urlsplit(url).scheme == "file":
        is_there = (Path(unquote(urlsplit(url).path)) / "noarch" / "repodata.json").is_file()
        return {"url": url, "is": "there" if is_there else "absent", "reason": "" if is_there else "no such folder"}
    for name in _INDEXES:
        request = urllib.request.Request(f"{url}/noarch/{name}", method="HEAD")  # noqa: S310 (http, https or file)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
                return {"url": url, "is": "there", "reason": ""}
        except urllib.error.HTTPError as error:
            if error.code == 401:  # rattler knows the netrc file, and will say when it does not help
                return {"url": url, "is": "there", "reason": ""}
            if error.code not in (404, 410):
                return {"url": url, "is": "silent", "reason": f"it answers {error.code} {error.reason}"}
        except (OSError, ValueError) as error:
            return {"url": url, "is": "silent", "reason": _reason(error)}
    return {"url": url, "is": "absent", "reason": "it answers 404 Not Found"}


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause)


def _solve(order: dict[str, Any]) -> None:
    """The records that ``specs`` need together. Where the channels have a Python, it is among them, at a version that
    ``python`` allows; ``python_specs`` say more about it."""
    rattler = _rattler(order)

    async def solve() -> list[Any]:
        gateway = rattler.Gateway(cache_dir=Path(order["cache"]) / "repodata", client=_client())
        platforms = [str(rattler.Subdir.current()), "noarch"]
        named = await gateway.query(order["channels"], platforms, ["python"], recursive=False)
        specs = list(order["specs"])
        if any(named):
            specs += [f"python {order['python']}", *order["python_specs"]]
        found: list[Any] = await rattler.solve(
            order["channels"],
            specs,
            gateway=gateway,
            platforms=platforms,
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        return found

    for record in asyncio.run(solve()):
        _answer(
            "record",
            {
                "name": record.name.normalized,
                "version": str(record.version),
                "build": str(record.build),
                "url": record.url,
                "sha256": record.sha256.hex() if record.sha256 else "",
                "depends": [depend.split(" ")[0] for depend in record.depends][:200],
            },
        )


def _install(order: dict[str, Any]) -> None:
    """Brings exactly ``records`` into ``prefix``, checked by their SHA-256. Scripts of packages do not run. Describes
    the Python distributions among them in the folder ``wheels``, unless that is empty."""
    rattler = _rattler(order)
    records = []
    for facts in order["records"]:
        _check_file(facts)
        subdir, file_name = facts["url"].rsplit("/", 2)[1:]
        package = rattler.PackageRecord(
            name=facts["name"],
            version=facts["version"],
            build=rattler.BuildString(facts["build"]),
            build_number=0,
            subdir=subdir,
            sha256=bytes.fromhex(facts["sha256"]),
        )
        records.append(rattler.RepoDataRecord(package, file_name, facts["url"], facts["url"].rsplit("/", 2)[0]))
    install = rattler.install(
        records,
        order["prefix"],
        cache_dir=Path(order["cache"]) / "pkgs",
        client=_client(),
        execute_link_scripts=False,
        reporter=_Reporter(len(records)),
    )
    asyncio.run(install)
    if order["wheels"]:
        _describe(Path(order["prefix"]), Path(order["wheels"]))


def _check_file(facts: dict[str, str]) -> None:
    """rattler checks what it downloads, and takes what lies in a folder as it is."""
    parts = urlsplit(facts["url"])
    if parts.scheme != "file":
        return
    with open(unquote(parts.path), "rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    if digest.hexdigest() != facts["sha256"]:
        raise ValueError(f"hash mismatch of {facts['name']}: its SHA-256 is {digest.hexdigest()}")


def _describe(prefix: Path, folder: Path) -> None:
    """The Python distributions in ``prefix``, each with a wheel of its metadata alone in ``folder``: a resolver learns
    from them what is there, at versions that no index may have."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(prefix.glob("lib/python3*/site-packages/*.dist-info/METADATA")):
        text = path.read_text(encoding="utf-8", errors="replace")
        head = dict(re.findall(r"^(Name|Version): *(\S+) *$", text.split("\n\n")[0].replace("\r", ""), re.MULTILINE))
        name, version = head.get("Name", ""), head.get("Version", "")
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            continue
        stem = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", text)
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
        _answer("distribution", {"name": name, "version": version})


def _rattler(order: dict[str, Any]) -> Any:
    sys.path.insert(0, order["rattler"])
    os.environ["RUST_BACKTRACE"] = "0"
    import rattler

    return rattler


def _client() -> Any:
    """Tries again what breaks off, and knows the machine's netrc file; other than http and https it speaks nothing."""
    from rattler.networking import AuthenticationMiddleware, Client, RetryMiddleware

    return Client([RetryMiddleware(_RETRIES), AuthenticationMiddleware()])


class _Reporter:
    """Says after each package how many are in the environment. The other moments are of no interest."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def on_link_complete(self, index: int) -> None:
        self._done += 1
        _answer("progress", {"done": self._done, "total": self._total})

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_: 0


_ACTIONS = {"probe": _probe, "solve": _solve, "install": _install}

if __name__ == "__main__":
    main()
    # Threads of rattler outlive its work, and crash in the interpreter's own end (signal 11).
    os._exit(0)
