"""A whole run through the platform against the same script started by hand in the same environment.

    python -m benchmarks.whole_run [--rounds 5] [--epochs 6]

Baseline: ``python train.py`` in a fresh copy of the same folder, by the environment that the platform built. Both are
measured in turn, so that a drift of the machine's speed touches both. A run's time is from the POST of the form to the
final state in the database. Target: at most 1.05 x baseline + 1.0 s.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.installation import installation, ready_python
from tests.e2e.house import ROOT, House
from tests.e2e.person import Person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    with installation() as (house, person):
        measure(house, person, options.rounds, str(options.epochs))


def measure(house: House, person: Person, rounds: int, epochs: str) -> None:
    source = (ROOT / "examples" / "digits" / "train.py").read_text()
    through_platform(house, person, source, epochs)  # builds the environment
    python = ready_python(house)
    by_hand(python, source, epochs)
    rows = [(through_platform(house, person, source, epochs), by_hand(python, source, epochs)) for _ in range(rounds)]
    for ours, theirs in rows:
        print(f"platform {ours:6.2f} s   by hand {theirs:6.2f} s   {ours / theirs:.3f} x   {ours - theirs:+.2f} s")
    ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
    allowed = 1.05 * theirs + 1.0
    print(f"median   {ours:6.2f} s           {theirs:6.2f} s   {ours / theirs:.3f} x   {ours - theirs:+.2f} s")
    print(f"allowed  {allowed:6.2f} s: {'met' if ours <= allowed else 'MISSED'}")


def through_platform(house: House, person: Person, source: str, epochs: str) -> float:
    started = time.monotonic()
    run_id = person.submit(source, pip_packages="scikit-learn", params=[("--epochs", epochs)])
    row = house.wait_ended(run_id, timeout_s=600)
    lasted = time.monotonic() - started
    assert row["state"] == "completed", house.story(run_id)
    return lasted


def by_hand(python: Path, source: str, epochs: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(source)
        Path(folder, "outputs").mkdir()
        environ = {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [str(python), "train.py", "--epochs", epochs]
        started = time.monotonic()
        subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
        return time.monotonic() - started


if __name__ == "__main__":
    main()
