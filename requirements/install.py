"""Installs a locked set of packages: ``python3 requirements/install.py server|dev|training``.

``server`` and ``dev`` go to ``.venv`` (dev holds all of server, so a server set never replaces it), ``training`` to an
environment of its own. What is there already is left alone: a second call takes a moment. The last line of the
output is the environment's Python. Standard library only; any Python 3.6 or newer can read this file, so that one that
is too old is answered with a sentence.
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
VENV = os.path.join(ROOT, ".venv")
OLDEST, NEWEST = (3, 10), (3, 13)
NAMES = ["python3"] + ["python3.%d" % minor for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]


class Refused(Exception):
    """The set cannot be installed here. The text says why and what to do."""


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ("server", "dev", "training"):
        sys.exit("usage: install.py server|dev|training")
    os.umask(0o022)
    with open(os.path.join(FOLDER, "uv.txt")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two calls at once: the second waits and finds everything done
        try:
            print(install_training() if sys.argv[1] == "training" else install_server(sys.argv[1]))
        except Refused as refusal:
            sys.exit("\n%s\n" % refusal)


def install_server(wanted):
    """The server's packages, with those for development when ``wanted`` is "dev"."""
    present = read_stamp(VENV)
    name = "dev" if "dev" in (wanted, present.get("set")) else "server"
    python = os.path.join(VENV, "bin", "python")
    stamp = {
        "set": name,
        "locks": digests("uv", "server", "dev"),
        "asked": os.environ.get("PYTHON") or present.get("asked", ""),
    }
    if name == "server":
        del stamp["locks"]["dev"]
    if present == stamp and version_of(python):
        return python
    os.environ.pop("VIRTUAL_ENV", None)
    if not is_usable(python) or present.get("asked", "") != stamp["asked"]:
        make_venv(choose_python(reachable=False))
    remove_stamp(VENV)
    say("Installing the %s set from requirements/%s.txt" % (name, name))
    run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", os.path.join(FOLDER, "uv.txt")])
    sync(name, python)
    write_stamp(VENV, stamp)
    return python


def install_training():
    """The packages that the examples train with, in an environment that unprivileged users can run."""
    if not version_of(os.path.join(VENV, "bin", "python")) or not os.access(uv(), os.X_OK):
        install_server("server")
    chosen = choose_python(reachable=os.geteuid() == 0)
    stamp = {"set": "training", "locks": digests("training"), "python": [chosen, version_of(chosen)]}
    place = training_place(stamp)
    python = os.path.join(place, "bin", "python")
    if read_stamp(place) == stamp and version_of(python):
        return python
    say("Installing the training set from requirements/training.txt into %s" % place)
    run([uv(), "venv", "--quiet", "--clear", "--no-project", "--python", chosen, place])
    sync("training", python)
    write_stamp(place, stamp)
    return python


def training_place(stamp):
    """``.venv-training`` in the checkout, or a folder of root's own when root's checkout is closed to other users."""
    if os.geteuid() != 0 or is_open_to_all(ROOT):
        return os.path.join(ROOT, ".venv-training")
    digest = hashlib.sha256(json.dumps(stamp, sort_keys=True).encode()).hexdigest()
    place = "/var/cache/trainhouse-training-" + digest[:12]
    os.makedirs(place, exist_ok=True)
    return place


def choose_python(reachable):
    """The first Python of a supported version: $PYTHON, this one, those on the PATH. Raises Refused.

    ``reachable``: only those that every user of the machine may run, as a run's unprivileged user has to.
    """
    asked = os.environ.get("PYTHON")
    if asked and not reachable:
        version = version_of(asked)
        if not version:
            raise Refused("PYTHON is %s, which cannot be run." % asked)
        if not is_supported(version):
            raise Refused("PYTHON is %s, version %s; Trainhouse %s" % (asked, version, wants()))
        return shutil.which(asked) or asked
    found = []
    for path in candidates(asked):
        version = version_of(path)
        if version and is_supported(version) and (not reachable or is_open_to_all(os.path.realpath(path))):
            return path
        if version:
            found.append("%s is %s" % (path, version))
    if reachable:
        raise Refused(
            "No Python was found that every user of this machine may run and that is CPython 3.10 to 3.13. "
            "Install the system's own, for example: apt-get install python3"
        )
    raise Refused(
        "Trainhouse %s Found here: %s.\nInstall one of these, or name one: make demo PYTHON=/path/to/python3.12"
        % (wants(), ", ".join(sorted(set(found))) or "none")
    )


def candidates(asked):
    """Paths where a Python may be, likeliest first: $PYTHON, this one, each name in each folder of the PATH."""
    if asked and shutil.which(asked):
        yield shutil.which(asked)
    # A virtual environment's Python is asked for the one it was made from.
    yield ask(sys.executable, "import sys; print(getattr(sys, '_base_executable', sys.executable))") or sys.executable
    for name in NAMES:
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            if os.access(os.path.join(folder, name), os.X_OK):
                yield os.path.join(folder, name)


def make_venv(base):
    """An empty ``.venv`` with pip. Raises Refused when the interpreter comes without the modules for that."""
    if ask(base, "import venv, ensurepip; print('both')") != "both":
        name = "python%s" % ".".join(version_of(base).split(".")[:2])
        raise Refused(
            "%s comes without the venv module. Install it, on Debian and Ubuntu: apt-get install python3-venv "
            "(or %s-venv)" % (base, name)
        )
    say("Making .venv with %s (%s)" % (base, version_of(base)))
    run([base, "-m", "venv", "--clear", VENV])


def sync(name, python):
    """Makes the environment hold exactly the locked set, compiled, so that the first start is a fast one."""
    environ = dict(os.environ, UV_COMPILE_BYTECODE_TIMEOUT="600", UV_NO_PROGRESS="" if sys.stderr.isatty() else "1")
    lock = os.path.join(FOLDER, name + ".txt")
    command = [uv(), "pip", "sync", "--require-hashes", "--compile-bytecode", "--python", python, lock]
    run(command, {key: value for key, value in environ.items() if value})


def uv():
    return os.path.join(VENV, "bin", "uv")


def is_usable(python):
    version = version_of(python)
    return version is not None and is_supported(version) and ask(python, "import pip; print('pip')") == "pip"


def is_supported(version):
    return OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST


def wants():
    return "needs CPython %d.%d to %d.%d." % (OLDEST + NEWEST)


def version_of(python):
    """The version of a CPython, like "3.11.7"; None for what is none or cannot be run."""
    code = "import sys; print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3])"
    name, _, version = (ask(python, code) or "").partition(" ")
    return version if name == "cpython" else None


def ask(python, code):
    """What ``python`` prints when it runs ``code``; None when it fails."""
    try:
        done = subprocess.run([python, "-I", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None


def is_open_to_all(path):
    """Whether every user of the machine may reach and run ``path``."""
    while True:
        mode = os.stat(path).st_mode
        if not mode & stat.S_IXOTH:
            return False
        parent = os.path.dirname(path)
        if parent == path:
            return True
        path = parent


def digests(*names):
    """The SHA-256 of each lock."""
    found = {}
    for name in names:
        with open(os.path.join(FOLDER, name + ".txt"), "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def stamp_path(place):
    return os.path.join(place, "installed.json")


def read_stamp(place):
    try:
        with open(stamp_path(place)) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def remove_stamp(place):
    if os.path.exists(stamp_path(place)):
        os.unlink(stamp_path(place))


def write_stamp(place, stamp):
    handle, name = tempfile.mkstemp(dir=place)
    with os.fdopen(handle, "w") as file:
        json.dump(stamp, file)
    os.replace(name, stamp_path(place))


def run(command, environ=None):
    """Runs ``command`` with its output on our stderr. Raises Refused when it fails."""
    if subprocess.run(command, stdout=sys.stderr, env=environ, cwd=ROOT).returncode != 0:
        raise Refused(
            "This failed: %s\nIts own words are above. Calling make again goes on from here." % " ".join(command)
        )


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
