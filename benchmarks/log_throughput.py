"""A script that prints 100 MB as fast as it can: through the platform against ``> file``.

    python -m benchmarks.log_throughput [--rounds 5] [--megabytes 100]

Baseline: the same script, interpreter and variables, its output redirected to a file on the same disk. Both report
their own time from the first line to the last, so that starts do not count. Target: at least 0.9 x the baseline's
speed, and every byte stored in order, once.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.installation import installation, ready_python
from tests.e2e.house import House
from tests.e2e.person import Person

SCRIPT = """
import sys, time
count = int(sys.argv[1]) * 10_000
started = time.monotonic()
for i in range(count):
    print(f"{i:09d} " + "x" * 89)
lasted = time.monotonic() - started
open("outputs/lasted.txt", "w").write(str(lasted))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    with installation() as (house, person):
        measure(house, person, options.rounds, options.megabytes)


def measure(house: House, person: Person, rounds: int, megabytes: int) -> None:
    through_platform(house, person, 1)  # builds the environment
    python, folder = ready_python(house), house.data_dir.parent
    rows = [
        (megabytes / through_platform(house, person, megabytes), megabytes / by_hand(python, folder, megabytes))
        for _ in range(rounds)
    ]
    for ours, theirs in rows:
        print(f"platform {ours:7.1f} MB/s   > file {theirs:7.1f} MB/s   {ours / theirs:.3f} x")
    ratio = statistics.median(ours / theirs for ours, theirs in rows)
    print(f"median {ratio:.3f} x the speed of > file, at least 0.9 wanted: {'met' if ratio >= 0.9 else 'MISSED'}")


def through_platform(house: House, person: Person, megabytes: int) -> float:
    """Seconds that the script took to print. Fails when a stored byte differs from what it printed."""
    run_id = person.submit(SCRIPT, params=[(str(megabytes), "")])
    row = house.wait_ended(run_id, timeout_s=600)
    assert row["state"] == "completed", house.story(run_id)
    wanted = hashlib.sha256()
    for i in range(megabytes * 10_000):
        wanted.update(b"%09d " % i + b"x" * 89 + b"\n")
    assert hashlib.sha256(house.output(run_id)).digest() == wanted.digest(), "the stored bytes differ"
    artifact = house.row("SELECT id FROM runs_artifact WHERE run_id = ? AND path = 'outputs/lasted.txt'", run_id)
    assert artifact is not None
    return float(person.get(f"/runs/{run_id}/files/{artifact['id']}/download"))


def by_hand(python: Path, folder: Path, megabytes: int) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        Path(work, "train.py").write_text(SCRIPT)
        Path(work, "outputs").mkdir()
        environ = {"PATH": os.environ["PATH"], "HOME": work, "PYTHONUNBUFFERED": "1"}
        command = [str(python), "train.py", str(megabytes)]
        with open(Path(work, "log"), "ab") as log:
            subprocess.run(command, cwd=work, env=environ, check=True, stdout=log, stderr=log)
        return float(Path(work, "outputs", "lasted.txt").read_text())


if __name__ == "__main__":
    main()
