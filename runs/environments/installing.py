"""From the lock to the files of an environment: downloaded and unpacked."""

from collections.abc import Sequence
from pathlib import Path

from runs.environments.lock import lock_packages
from runs.environments.progress import Downloads
from runs.environments.toolbox import uv_cache
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed


def venv_create(workshop: Workshop, python: Path) -> None:
    """An empty virtual environment of ``python`` at the build's place."""
    workshop.progress.say("create", "Creating the environment")
    workshop.uv(["venv", "--quiet", "--python", str(python), str(workshop.path)], what="Creating the environment")


def packages_install(workshop: Workshop, lock: str, compiled: Sequence[str] = (), *, keeping: bool = False) -> None:
    """Everything of ``lock`` with the wheels that were ``compiled`` here (requirements with their files' addresses and
    hashes), and nothing else but, when ``keeping``, what is there already. Raises EnvironmentFailed with the package
    named."""
    locked = workshop.hand_over("requirements.txt", "\n".join([lock.rstrip("\n"), *compiled, ""]))
    # A Python from a channel may call itself externally managed; this one is the build's own.
    way = ["install", "--no-deps", "--break-system-packages", "-r"] if keeping else ["sync"]
    words = ["pip", *way, locked, "--python", str(workshop.python), "--require-hashes"]
    packages = len(lock_packages(lock))
    workshop.progress.say("download", f"Fetching {packages} packages")
    if _installed_from_cache(workshop, words):
        return
    with Downloads(progress=workshop.progress, cache=uv_cache(), packages=packages) as downloads:

        def each_line(line: str) -> bool:
            downloads.line(line)
            return True

        workshop.uv(words, what="Installing the packages", each_line=each_line)


def _installed_from_cache(workshop: Workshop, words: list[str]) -> bool:
    """Installs without a word to the index, which uv would otherwise ask again for every package of a lock. False where
    the cache lacks something; then nothing of the try is in the log."""
    said: list[str] = []

    def each_line(line: str) -> bool:
        said.append(line)
        return False

    try:
        workshop.uv([*words, "--offline"], what="Installing the packages", each_line=each_line)
    except EnvironmentFailed:
        return False
    for line in said:
        workshop.say(line)
    return True
