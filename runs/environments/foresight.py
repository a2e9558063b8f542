"""Whether the packages of an environment can be had, asked of the index before anything is built.

uv resolves from what the index says of its wheels, so that no package's code runs anywhere. What has no wheel is left
out of the question, and said.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compute.backends.base import ComputeBackend
from runs.environments.advice import conda_advice
from runs.environments.failures import failure_sentence, is_index_away
from runs.environments.interpreters import interpreter_same
from runs.environments.output import masked_line, secrets_of
from runs.environments.packages import FRAMEWORKS
from runs.environments.request import spec_packages
from runs.environments.toolbox import build_environ, uv_program
from runs.errors import EnvironmentFailed

TIMEOUT_S = 20.0

#: So many packages without a wheel are found one after another before the check gives up.
_MOST_WITHOUT_WHEEL = 8
_MOST_OUTPUT_BYTES = 8 * 1024 * 1024
_MOST_NAMED = 4

_WANTS_WHEEL = re.compile(r"Wheels are required for `([A-Za-z0-9._-]+)` because building from source is disabled")
_NAME = re.compile(r'^name = "([A-Za-z0-9._-]+)"$', re.MULTILINE)
_VERSION = re.compile(r'^version = "([A-Za-z0-9.!+_-]+)"$', re.MULTILINE)
_SIZE = re.compile(r"\bsize = (\d+)")
_SHA256 = re.compile(r'\bsha256 = "([0-9a-f]{64})"')


class Outcome(str, Enum):
    """What a check came to."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer, as sentences for the person. ``remarks`` say what the answer leaves out, and what is
    taken from elsewhere."""

    outcome: Outcome
    sentence: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """A resolved package. ``size_bytes`` is that of its largest fitting wheel; None when the index does not say."""

    name: str
    version: str
    size_bytes: int | None
    hashes: frozenset[str]


def packages_foresee(canonical: dict[str, Any], backend: ComputeBackend, *, timeout_s: float = TIMEOUT_S) -> Finding:
    """Whether everything in a canonical description can be had together. Blocks for up to ``timeout_s``, and writes
    nothing but to the package cache. Never raises for what an index or a package says."""
    lines = spec_packages(canonical)
    addressed = [line for line in lines if Requirement(line).url]
    folder = settings.DATA_DIR / "tools" / "checks" / uuid.uuid4().hex
    try:
        python = interpreter_same(backend, canonical["python"]).path
        check = _Check(canonical, backend, python=python, folder=folder, ends_at=time.monotonic() + timeout_s)
        found = check.run([line for line in lines if line not in addressed], addressed)
        return replace(found, remarks=(*conda_advice(canonical), *found.remarks))
    except EnvironmentFailed as error:
        return Finding(outcome=Outcome.IMPOSSIBLE, sentence=str(error))
    except TimeoutError:
        return Finding(
            outcome=Outcome.UNCHECKED,
            sentence=f"The packages were not checked to the end: the index took more than {timeout_s:.0f} s.",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Check:
    def __init__(
        self, canonical: dict[str, Any], backend: ComputeBackend, *, python: Path, folder: Path, ends_at: float
    ) -> None:
        self._canonical = canonical
        self._backend = backend
        self._python = python
        self._folder = folder
        self._ends_at = ends_at

    def run(self, lines: list[str], addressed: list[str]) -> Finding:
        without_wheel: list[str] = []
        while True:
            code, output = self._resolve(lines, without_wheel)
            if code == 0:
                return self._found(_parsed(output), without_wheel, addressed)
            wanted = [name for name in _WANTS_WHEEL.findall(output) if name not in without_wheel]
            if not wanted or len(without_wheel) >= _MOST_WITHOUT_WHEEL:
                break
            without_wheel += wanted
        sentence = failure_sentence(output, what="Checking the packages", code=code)
        if is_index_away(output) or code < 0:
            return Finding(outcome=Outcome.UNCHECKED, sentence=f"The packages were not checked. {sentence}")
        return Finding(
            outcome=Outcome.IMPOSSIBLE, sentence=sentence, remarks=_remarks(without_wheel, addressed, self._canonical)
        )

    def _resolve(self, lines: list[str], without_wheel: list[str]) -> tuple[int, str]:
        """uv's exit code and what it says, as it may be shown. A package without a wheel is replaced by nothing,
        wherever it is asked for. Raises TimeoutError."""
        nothing = [f"{name} ; python_version < '3'" for name in without_wheel]
        overrides = [*self._canonical.get("overrides", ()), *nothing]
        words = ["pip", "compile", "--quiet", "--python", str(self._python), "--only-binary", ":all:"]
        for option, content in (("constraints", self._canonical.get("constraints")), ("overrides", overrides)):
            if content:
                words += [f"--{option}", self._hand_over(f"{option}.in", content)]
        words += ["--format", "pylock.toml", self._hand_over("requirements.in", lines)]
        said = bytearray()

        def take(piece: bytes) -> None:
            if len(said) < _MOST_OUTPUT_BYTES:
                said.extend(piece)

        # The least of priorities: whatever trains or builds on this machine goes first.
        command = self._backend.build_command(
            ["/usr/bin/nice", "-n", "19", str(uv_program()), *words], environ=build_environ()
        )
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        code = command.run(output=take, timeout_s=left_s)
        secrets = secrets_of(os.environ)
        shown = [masked_line(line, secrets) for line in bytes(said).split(b"\n")]
        return code, b"\n".join(shown).decode("utf-8", "replace")

    def _hand_over(self, name: str, lines: list[str]) -> str:
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # whatever the server's umask is
        path = self._folder / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o644)
        return str(path)

    def _found(self, packages: list[_Package], without_wheel: list[str], addressed: list[str]) -> Finding:
        remarks = _remarks(without_wheel, addressed, self._canonical)
        hashes = self._canonical.get("hashes", {})
        for package in packages:
            wanted = {each.removeprefix("sha256:") for each in hashes.get(package.name, ())}
            if wanted and package.hashes.isdisjoint(wanted):
                sentence = (
                    f"What the package index has for {package.name}=={package.version} has another SHA-256 than the "
                    "requirements file names. Check the file's --hash options."
                )
                return Finding(outcome=Outcome.IMPOSSIBLE, sentence=sentence, remarks=remarks)
        whole = "All other packages can be had" if remarks else "All packages can be had"
        named = ", ".join(_named(packages, self._canonical))
        python = ".".join(self._canonical["python"]["version"].split(".")[:2])
        sentence = f"{whole}: {named}, for Python {python}. {_size(packages)}"
        return Finding(outcome=Outcome.FOUND, sentence=sentence, remarks=remarks)


def _parsed(output: str) -> list[_Package]:
    """The packages of a pylock.toml as uv writes it (https://packaging.python.org/specifications/pylock-toml/)."""
    found = []
    for block in output.split("[[packages]]")[1:]:
        name, version = _NAME.search(block), _VERSION.search(block)
        sizes = [int(size) for size in _SIZE.findall(block)]
        found.append(
            _Package(
                name=name[1] if name else "",
                version=version[1] if version else "",
                size_bytes=max(sizes) if sizes else None,
                hashes=frozenset(_SHA256.findall(block)),
            )
        )
    return found


def _named(packages: list[_Package], canonical: dict[str, Any]) -> list[str]:
    """The packages that a person looks for first, with their versions: TensorFlow, Keras, those asked for."""
    versions = {package.name: package.version for package in packages}
    framework = next((name for name in sorted(FRAMEWORKS) if name in versions), "")
    shown = [f"TensorFlow {versions[framework]}"] if framework else []
    asked = [canonicalize_name(Requirement(line).name) for line in canonical["packages"]]
    names = list(dict.fromkeys([*(["keras"] if framework else []), *asked]))
    present = [f"{name} {versions[name]}" for name in names if name in versions]
    more = len(present) - _MOST_NAMED
    return [*shown, *present[:_MOST_NAMED], *([f"and {more} more that were asked for"] if more > 0 else [])]


def _size(packages: list[_Package]) -> str:
    """How many packages there are in all, and how much to download at most where the index says."""
    count = "1 package" if len(packages) == 1 else f"{len(packages)} packages"
    sizes = [package.size_bytes for package in packages]
    if None in sizes:
        return f"{count} in all."
    return f"{count} in all, at most {sum(size or 0 for size in sizes) / 1e6:,.0f} MB to download."


def _remarks(without_wheel: list[str], addressed: list[str], canonical: dict[str, Any]) -> tuple[str, ...]:
    found = [
        f"Not checked: {name} has no wheel that fits, so it will be built from its source." for name in without_wheel
    ]
    found += [f"Not checked: {Requirement(line).name} comes from an address." for line in addressed]
    asked = {key for key in _OTHER_PARTS if canonical.get(key)}
    if conda_advice(canonical):
        asked.discard("conda")
    return (*found, *(_OTHER_PARTS[key] for key in _OTHER_PARTS if key in asked))


#: What a description may hold beside packages of the index.
_OTHER_PARTS = {
    "conda": "Not checked: the conda packages are solved when the environment is built.",
    "sources": "Not checked: what comes from a folder of the source or a repository.",
    "horovod": "Not checked: Horovod, which is built on the machine.",
}
