"""What an environment costs: nothing when it is there, little more than uv alone when it is new, once for ten runs.

    python -m benchmarks.environments [--rounds 3]

*Warm*: from the POST of the form to the script's first line, in an environment that is ready. The part of the
environment is from SUBMITTED to WAITING, by the run's events; target: at most 0.3 s. Beside it the whole way, and
``python train.py`` in the same environment up to its own first line.

*One package more*: a new environment that has one small package more than one that is there, from the order to READY,
against ``uv venv && uv pip install`` of the same packages by the same user from the same warm cache, which neither
compiles nor seals. Target: at most 1.5 x. Beside it the same of a lock, where uv has nothing to resolve.

*Ten at once*: ten runs that need the same new environment are submitted one after another without waiting. Target:
one build.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.installation import installation, ready_python
from tests.e2e.house import House
from tests.e2e.person import Person

FIRST_LINE = "import time\nprint('began', time.time(), flush=True)\n"
PACKAGES = "scikit-learn"
#: Each makes a new environment; all are pure Python and small.
SMALL = ("colorama", "iniconfig", "blinker", "itsdangerous", "toolz", "tabulate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, len(SMALL)))
    options = parser.parse_args()
    with installation() as (house, person):
        ended(house, person.submit(FIRST_LINE, pip_packages=PACKAGES))  # builds the environment
        warm(house, person, options.rounds)
        one_package_more(house, person, options.rounds)
        ten_at_once(house, person)


def warm(house: House, person: Person, rounds: int) -> None:
    python = ready_python(house)
    rows = []
    for _ in range(rounds):
        posted_at = time.time()
        run_id = person.submit(FIRST_LINE, pip_packages=PACKAGES)
        ended(house, run_id)
        began = next(line for line in house.output(run_id).decode().splitlines() if line.startswith("began"))
        at = events(house, run_id)
        rows.append((at["waiting"] - at["submitted"], float(began.split()[1]) - posted_at, by_hand(python)))
    environment, whole, alone = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"warm, {rounds} rounds: script's first line {whole:.2f} s after the POST, {alone:.2f} s by hand")
    print(f"  of it the environment {environment:.3f} s, at most 0.3 s wanted: {verdict(environment <= 0.3)}")


def by_hand(python: Path) -> float:
    """From the start of ``python train.py`` to its first line."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(FIRST_LINE)
        started_at = time.time()
        said = subprocess.run([str(python), "train.py"], cwd=folder, check=True, capture_output=True, text=True)
        return float(said.stdout.split()[1]) - started_at


def one_package_more(house: House, person: Person, rounds: int) -> None:
    rows = []
    for name in SMALL[:rounds]:
        alone, locked = bare(house, f"{PACKAGES}\n{name}")
        run_id = person.submit(FIRST_LINE, pip_packages=f"{PACKAGES}\n{name}")
        ended(house, run_id)
        row = house.row("SELECT ready_at FROM runs_environment WHERE state = 'ready' ORDER BY id DESC")
        assert row is not None
        ours = moment(row["ready_at"]) - events(house, run_id)["preparing"]
        rows.append((ours, alone, locked))
        print(f"one package more, {name}: platform {ours:5.2f} s   uv alone {alone:5.2f} s   of a lock {locked:5.2f} s")
    ours, alone, locked = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = ours / alone
    print(
        f"  medians {ours:.2f} s, {alone:.2f} s, {locked:.2f} s: {ratio:.2f} x, at most 1.5 x: {verdict(ratio <= 1.5)}"
    )


def bare(house: House, packages: str) -> tuple[float, float]:
    """``uv venv && uv pip install`` of these packages, as the build's user, and the same of their lock; each once to
    fill the cache and once timed."""
    folder = house.data_dir / "build" / "tmp" / "bare"
    python = ready_python(house).resolve()
    environ = {**os.environ, "UV_CACHE_DIR": str(house.data_dir / "build" / "cache" / "uv"), "UV_NO_PROGRESS": "1"}
    environ |= {"HOME": str(folder), "UV_LINK_MODE": "hardlink"}
    user = house.port * 10_000 if os.geteuid() == 0 else None  # the first of its run user ids
    program = next((house.data_dir / "tools").glob("uv-*"))
    folder.mkdir()
    if user is not None:
        os.chown(folder, user, user)
    wishes, lock = folder / "wishes.in", folder / "lock.txt"
    wishes.write_text(f"tensorflow-cpu=={version(house)}\ntensorboard\n{packages}\n")

    def run(*words: str) -> None:
        as_user: dict[str, int] = {} if user is None else {"user": user, "group": user}
        subprocess.run([str(program), *words], env=environ, cwd=folder, check=True, capture_output=True, **as_user)

    def timed(*words: str) -> float:
        place = folder / "venv"
        started = time.monotonic()
        run("venv", "--python", str(python), str(place))
        run("pip", "install", "--python", str(place / "bin" / "python"), *words)
        lasted = time.monotonic() - started
        shutil.rmtree(place)
        return lasted

    run("pip", "compile", "--quiet", "--python", str(python), "--generate-hashes", str(wishes), "-o", str(lock))
    timed("-r", str(wishes))
    times = timed("-r", str(wishes)), timed("--require-hashes", "-r", str(lock))
    shutil.rmtree(folder)
    return times


def ten_at_once(house: House, person: Person) -> None:
    packages = f"{PACKAGES}\n{SMALL[-1]}"
    run_ids = [person.submit(FIRST_LINE, pip_packages=packages) for _ in range(10)]
    for run_id in run_ids:
        ended(house, run_id)
    found = house.rows(
        "SELECT DISTINCT e.id, e.build_count FROM runs_environment e JOIN runs_run r ON r.environment_id = e.id "
        f"WHERE r.id IN ({', '.join(map(str, run_ids))})"
    )
    builds = sum(row["build_count"] for row in found)
    print(f"ten at once: {builds} build of {len(found)} environment, one wanted: {verdict(builds == 1)}")


def ended(house: House, run_id: int) -> None:
    row = house.wait_ended(run_id, timeout_s=900)
    assert row["state"] == "completed", house.story(run_id)


def events(house: House, run_id: int) -> dict[str, float]:
    """When the run got into each state, in seconds."""
    rows = house.rows("SELECT kind, at FROM runs_runevent WHERE run_id = ?", run_id)
    return {row["kind"]: moment(row["at"]) for row in rows}


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def version(house: House) -> str:
    """The TensorFlow of the first environment."""
    row = house.row("SELECT lock FROM runs_environment ORDER BY id")
    assert row is not None
    line = next(line for line in row["lock"].splitlines() if line.startswith("tensorflow-cpu=="))
    return line.split()[0].partition("==")[2]


def verdict(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


if __name__ == "__main__":
    main()
