"""Memory of all server processes at rest: proportional set size (PSS), which counts a shared page once in all.

    python -m benchmarks.idle_memory [--settle 20]

Target: under 300 MB together.
"""

import argparse
import time

import psutil

from benchmarks.installation import installation
from tests.e2e.house import House


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settle", type=float, default=20.0, help="seconds to wait after the first page")
    options = parser.parse_args()
    with installation() as (house, person):
        person.get("/")
        time.sleep(options.settle)
        report(house)


def report(house: House) -> None:
    assert house.process is not None
    parent = psutil.Process(house.process.pid)
    total = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        megabytes = process.memory_full_info().pss / 1e6
        total += megabytes
        print(f"{megabytes:7.1f} MB  {process.name()}")
    print(f"{total:7.1f} MB  in all, under 300 MB wanted: {'met' if total < 300 else 'MISSED'}")


if __name__ == "__main__":
    main()
