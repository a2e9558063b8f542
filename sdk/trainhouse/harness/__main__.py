"""Entry point: runnable by the path of this folder, without any installation."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
# Run by path, Python puts this very folder first on sys.path, where our module names could hide others.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
sys.path.insert(0, os.path.dirname(os.path.dirname(_HERE)))

from trainhouse.harness.main import main  # noqa: E402 - the path has to be right first

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
