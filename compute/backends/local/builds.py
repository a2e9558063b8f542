"""Commands that run with a build's rights, and what they leave: environments that no run can change."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compute.backends.local.environ import build_environ
from compute.backends.local.folders import Folders
from compute.backends.local.identities import Identity, barred_folder
from compute.backends.local.index_files import index_hand_over
from compute.backends.local.processes import starter_argv
from compute.package_index import package_index

_PIECE_BYTES = 65536
_END_WITHIN_S = 15
_SEAL_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBuildCommand:
    """A command prepared for the build's user. ``wheelhouse`` is a folder of packages beside the index, or empty.
    ``place`` has its home, temporary files and cache; ``index_for`` may read the settings of the index."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    folders: Folders
    identity: Identity
    wheelhouse: str = ""
    place: Path | None = None
    index_for: Identity | None = None

    def run(self, *, output: Callable[[bytes], None], timeout_s: float) -> int:
        """Runs the command to its end, as ``BuildCommand.run`` says. Blocks.

        Nothing of it is left afterwards, whether it ends, times out, ``output`` raises, or this process dies. Raises
        TimeoutError, and PermissionError when the build's user cannot enter the data folder.
        """
        place = self.place or self.folders.build
        barred = barred_folder(place, self.identity)
        if barred is not None:
            raise PermissionError(
                f"User {self.identity.uid}, who builds environments, may not enter {barred}, and the data folder lies "
                "below. Set TRAINHOUSE_DATA_DIR to a folder that everybody may pass through, such as "
                "/var/lib/trainhouse."
            )
        for name in ("home", "tmp", "cache"):
            _folder_ensure(place / name, self.identity)
        self._wheelhouse_check()
        index = index_hand_over(
            package_index(os.environ, wheelhouse=self.wheelhouse),
            folder=self.folders.index,
            identity=self.index_for or self.identity,
        )
        order = {
            "argv": list(self.argv),
            "environ": build_environ(self.environ, build=place, identity=self.identity, index=index),
            "folder": str(place / "home"),
            "umask": 0o022,
            "uid": self.identity.uid,
            "groups": list(self.identity.groups),
            "parent": os.getpid(),
        }
        process = subprocess.Popen(
            starter_argv("attend"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            return _attended(process, order, output=output, deadline=time.monotonic() + timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{self.argv[0]} did not end within {timeout_s:g} s and was stopped.") from error
        finally:
            _ended(process)

    def _wheelhouse_check(self) -> None:
        folder = Path(self.wheelhouse)
        barred = barred_folder(folder / "any", self.identity) if self.wheelhouse and folder.is_dir() else None
        if barred is not None:
            raise PermissionError(
                f"User {self.identity.uid}, who builds environments, may not enter {barred}, and TRAINHOUSE_WHEELHOUSE "
                f"is {folder}. Let others pass and read there (chmod o+rx)."
            )


def tree_seal(path: Path, *, folders: Folders, identity: Identity) -> None:
    """Makes ``path`` readable for all and writable for nobody. Done as the build's user, who owns it.

    The owner stays: the files share their blocks with the package cache, and the kernel lets only an owner make
    further hard links (``fs.protected_hardlinks``). Runs have other user ids. Raises OSError with the output when
    something in it belongs to somebody else.
    """
    _as_build(["/bin/chmod", "-R", "a+rX,a-w", "--", str(path)], folders=folders, identity=identity)


def tree_unseal_and_remove(path: Path, *, folders: Folders, identity: Identity) -> None:
    """Removes ``path``, sealed or half built. Idempotent. Raises OSError with the output when something resists."""
    if not path.is_symlink() and not path.exists():
        return
    if path.is_dir() and not path.is_symlink():
        _as_build(["/bin/chmod", "-R", "u+rwX", "--", str(path)], folders=folders, identity=identity)
    _as_build(["/bin/rm", "-rf", "--", str(path)], folders=folders, identity=identity)


def _as_build(argv: list[str], *, folders: Folders, identity: Identity) -> None:
    said: list[bytes] = []
    command = LocalBuildCommand(argv=tuple(argv), environ={}, folders=folders, identity=identity)
    code = command.run(output=said.append, timeout_s=_SEAL_TIMEOUT_S)
    if code != 0:
        text = b"".join(said).decode(errors="replace").strip()
        raise OSError(f"{' '.join(argv)} ended with {code}: {text[-500:]}")


def _attended(
    process: subprocess.Popen[bytes], order: dict[str, object], *, output: Callable[[bytes], None], deadline: float
) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order).encode())
    process.stdin.close()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            if selector.select(left_s):
                piece = os.read(process.stdout.fileno(), _PIECE_BYTES)
                if not piece:
                    break
                output(piece)
    # The output is closed; a command may live on without it.
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Makes sure that the attendant, and with it everything it attends, is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _folder_ensure(path: Path, identity: Identity) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    os.chown(path, identity.owner, identity.owner)
