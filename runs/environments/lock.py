"""The lock of an environment: every package with its version and hashes, and nothing else.

What does not come from a package index stands in comment lines that only the platform writes, so that the whole stays a
requirements file: ``# source <path> <name>==<version> <digest>`` is a package from files of the source, or from a
repository with its commit, and
``# horovod <version> tensorflow …`` the Horovod that was compiled.

It comes out of the resolver's output, which an index or a package under build could have written to; so only lines
of exactly this form are taken, and no address can get in but those that were asked for.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from runs.errors import EnvironmentFailed

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.!+_-]+( ; [^\\]+)?( \\)?")
_ADDRESSED = re.compile(r"[a-z0-9][a-z0-9._-]* @ (\S+)( ; [^\\]+)?( \\)?")
_HOROVOD = re.compile(
    r"# horovod (?P<version>\S+) tensorflow (?P<tensorflow>\S+) mpi (?P<mpi>.+) operations (?P<operations>.+) "
    r"recipe (?P<recipe>[0-9a-f]+) wheel sha256:(?P<wheel>[0-9a-f]{64}) module (?P<module>[0-9a-f]+)"
)
_HASH = re.compile(r" +--hash=sha\d+:[0-9a-f]+( \\)?")
_SOURCE = re.compile(r"# source (\S+) ([a-z0-9-]+)==(\S+) ([0-9a-f]{40}|[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSource:
    """A package that was built from files: of the part of a snapshot with this digest, or of the repository that
    ``path`` names, at the commit that is the digest."""

    path: str
    name: str
    version: str
    digest: str

    @property
    def line(self) -> str:
        """As the lock has it."""
        return f"# source {quote(self.path, safe='/:+@#=&~')} {self.name}=={self.version} {self.digest}"


class LockReader:
    """Collects the lock from ``uv pip compile``'s output, line by line. ``addresses`` are those asked for."""

    def __init__(self, addresses: Collection[str] = ()) -> None:
        self._lines: list[str] = []
        self._addresses = frozenset(addresses)

    def line(self, line: str) -> bool:
        """Takes a line of the lock; True when it was none and belongs into the log. What would be more than one line to
        whoever reads the lock (``str.splitlines`` knows ten line ends) is none."""
        if len(line.splitlines()) != 1:
            return True
        if not self._is_package(line) and not (_HASH.fullmatch(line) and self._lines):
            return True
        self._lines.append(line)
        return False

    def text(self) -> str:
        """The lock. Raises EnvironmentFailed when a package came without a hash, or no package at all."""
        if not self._lines:
            raise EnvironmentFailed("The packages were resolved to nothing at all; the build's log has what uv said.")
        for line, following in zip(self._lines, [*self._lines[1:], ""], strict=True):
            if not _HASH.fullmatch(line) and not _HASH.fullmatch(following):
                name = line.split(" ")[0]
                raise EnvironmentFailed(f"The package index gives no hash for {name}, so it cannot be pinned.")
        return "\n".join(self._lines) + "\n"

    def _is_package(self, line: str) -> bool:
        if _PACKAGE.fullmatch(line):
            return True
        match = _ADDRESSED.fullmatch(line)
        return match is not None and match[1] in self._addresses


def lock_packages(lock: str) -> list[str]:
    """The packages of a lock as ``name==version``, or ``name @ address``, in its order; those that were
    built from files, or compiled here, last."""
    return [
        " ".join(line.split(" ")[:3]) if _ADDRESSED.fullmatch(line) else line.split(" ")[0]
        for line in lock.splitlines()
        if line[:1].strip() and not line.startswith("#")
    ] + [
        *(f"{source.name}=={source.version}" for source in lock_sources(lock)),
        *(f"horovod=={compiled['version']}" for compiled in [lock_horovod(lock)] if compiled),
    ]


def lock_sources(lock: str) -> list[LockedSource]:
    """The packages of a lock that were built from files, in its order."""
    found = (_SOURCE.fullmatch(line) for line in lock.splitlines())
    return [
        LockedSource(path=unquote(match[1]), name=match[2], version=match[3], digest=match[4])
        for match in found
        if match is not None
    ]


def lock_with_sources(lock: str, sources: Iterable[LockedSource], *, addresses: Collection[str]) -> str:
    """``lock`` with lines for ``sources`` in place of their wheels, which it names by ``addresses``."""
    blocks = [block for block in _blocks(lock) if _address(block) not in addresses]
    return "".join(f"{block}\n" for block in [*blocks, *(source.line for source in sources)])


def lock_version(lock: str, name: str) -> str:
    """The version of the package ``name``; empty when the lock has none of it."""
    pairs = (line.partition("==") for line in lock_packages(lock))
    return next((version for found, _, version in pairs if found == name), "")


def lock_block(lock: str, name: str) -> str:
    """The lines of the package ``name`` with its hashes; empty when the lock has none of it."""
    return next((block for block in _blocks(lock) if block.startswith(f"{name}==")), "")


def lock_with_horovod(
    lock: str, *, version: str, tensorflow: str, mpi: str, operations: str, recipe: str, wheel: str, module: str
) -> str:
    """``lock`` with the line of the Horovod that was compiled: ``wheel`` is its SHA-256, ``module`` the digest of the
    part beside it. An earlier line of it is replaced."""
    lines = [line for line in lock.splitlines() if not _HOROVOD.fullmatch(line)]
    compiled = (
        f"# horovod {version} tensorflow {tensorflow} mpi {mpi} operations {operations} recipe {recipe} "
        f"wheel sha256:{wheel} module {module}"
    )
    return "\n".join([*lines, compiled]) + "\n"


def lock_horovod(lock: str) -> dict[str, str]:
    """What ``lock_with_horovod`` wrote, by its names; empty when the lock has no Horovod."""
    match = next((match for line in lock.splitlines() if (match := _HOROVOD.fullmatch(line))), None)
    return {} if match is None else match.groupdict()


def lock_restricted(lock: str, hashes: Mapping[str, Collection[str]]) -> str:
    """``lock`` with only those hashes of each package that ``hashes`` names for it; packages that it does not name
    keep theirs. Raises EnvironmentFailed when none is left."""
    kept: list[str] = []
    for block in _blocks(lock):
        package, *lines = [line.removesuffix(" \\") for line in block.splitlines()]
        name = re.split(r"==| @ ", package)[0]
        if name in hashes:
            lines = [line for line in lines if line.strip().removeprefix("--hash=") in hashes[name]]
        if not lines:
            raise EnvironmentFailed(
                f"What the package index has for {package.split(' ')[0]} has another SHA-256 than the requirements "
                "file names. Check the file's --hash options: nothing was installed."
            )
        kept.append(" \\\n".join([package, *lines]))
    return "\n".join(kept) + "\n"


def _blocks(lock: str) -> list[str]:
    """Each package with its lines of hashes."""
    return re.split(r"\n(?=\S)", lock.rstrip("\n"))


def _address(block: str) -> str:
    match = _ADDRESSED.fullmatch(block.splitlines()[0])
    return match[1] if match else ""
