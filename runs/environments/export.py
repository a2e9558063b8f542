"""An environment for other tools: a requirements file, a conda file, a Dockerfile. Pure.

All three come from the lock, so they hold exactly what runs were given; only the files with hashes prove it.
"""

import json
from collections.abc import Iterable, Sequence

from runs.environments.conda.channels import channel_shown
from runs.environments.conda.records import CondaRecord, lock_conda
from runs.environments.lock import lock_horovod, lock_sources

#: The first user id of a Debian image that belongs to nobody yet.
_CONTAINER_USER_ID = 1000


def requirements_txt(lock: str, *, origin: str) -> str:
    """The lock as a requirements file: every package with its version and hashes. ``origin`` says where it is from."""
    return f"{_comment(origin)}{_not_from_pip(lock)}# pip install --require-hashes -r requirements.txt\n{lock}"


def environment_yml(lock: str, *, name: str, python: str, origin: str) -> str:
    """A conda file called ``name``: Python and what came from conda with their builds, the packages by pip."""
    # JSON's strings are YAML's: nothing in a version or a marker can be read as anything else.
    packages = "".join(f"      - {json.dumps(_requirement(line))}\n" for line in _package_lines(lock))
    records = lock_conda(lock)
    conda = [f"{record.name}={record.version}={record.build}" for record in records if record.name != "pip"]
    if not any(record.name == "python" for record in records):
        conda.insert(0, f"python={python}")
    return (
        f"{_comment(origin)}{_without_sources(lock)}{_without_horovod(lock)}# conda env create -f environment.yml\n"
        f"name: {json.dumps(name)}\n"
        f"channels:\n{_items(_channels(records))}"
        f"dependencies:\n{_items([*conda, 'pip'])}  - pip:\n{packages}"
    )


def dockerfile(lock: str, *, python: str, gpu: bool, origin: str) -> str:
    """A Dockerfile that needs no other file: the lock stands in it. Its user is not root."""
    return (
        f"{_comment(origin)}{_not_from_pip(lock)}# docker build -t my-training - < Dockerfile\n"
        f'# docker run --rm {"--gpus all " if gpu else ""}-v "$PWD":/work my-training python train.py\n'
        f"FROM python:{_minor(python)}-slim\n"
        "\n"
        f"RUN useradd --create-home --uid {_CONTAINER_USER_ID} trainer\n"
        "\n"
        "COPY <<'REQUIREMENTS' /tmp/requirements.txt\n"
        f"{lock}"
        "REQUIREMENTS\n"
        "\n"
        "RUN python -m pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt\n"
        "\n"
        "USER trainer\n"
        "WORKDIR /work\n"
        'CMD ["python"]\n'
    )


def _channels(records: Sequence[CondaRecord]) -> list[str]:
    """The channels of ``records``, or conda-forge, which has every Python, where there are none."""
    return list(dict.fromkeys(channel_shown(record.channel) for record in records)) or ["conda-forge"]


def _items(words: Iterable[str]) -> str:
    return "".join(f"  - {json.dumps(word)}\n" for word in words)


def _without_sources(lock: str) -> str:
    """A comment with what was built from files and has to be installed from there, empty where that is nothing."""
    lines = [
        _comment(f"Not in here, install it from {source.path}: {source.name}=={source.version}")
        for source in lock_sources(lock)
    ]
    return "".join(lines)


def _not_from_pip(lock: str) -> str:
    """Comments on what a file of pip's packages alone lacks; empty when it lacks nothing."""
    return _without_conda(lock) + _without_sources(lock) + _without_horovod(lock)


def _without_horovod(lock: str) -> str:
    compiled = lock_horovod(lock)
    if not compiled:
        return ""
    return (
        f"# Not in here: Horovod {compiled['version']}, which the platform compiles for TensorFlow "
        f"{compiled['tensorflow']} and {compiled['mpi']}, and the part beside it.\n"
    )


def _without_conda(lock: str) -> str:
    names = ", ".join(record.name for record in lock_conda(lock))
    return f"# Not in here, since they came from conda (environment.yml has them): {names}\n" if names else ""


def _comment(origin: str) -> str:
    return f"# {' '.join(origin.split())}\n"


def _package_lines(lock: str) -> list[str]:
    return [line for line in lock.splitlines() if line[:1].strip() and not line.startswith("#")]


def _requirement(line: str) -> str:
    return line.removesuffix("\\").strip()


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])
