"""environment.yml as people write it, and as people write it to do harm."""

import time

import pytest

from runs.environments.conda.file import CondaFile, conda_file_read

HEAD = "channels:\n  - conda-forge\ndependencies:\n"


def read(text: str | bytes, **others: str) -> CondaFile:
    files = {"environment.yml": text if isinstance(text, bytes) else text.encode()}
    files |= {name: content.encode() for name, content in others.items()}
    return conda_file_read("environment.yml", lambda path, size: files[path][:size] if path in files else None)


def test_a_usual_file_is_read_whole() -> None:
    found = read(
        "# made by hand\nname: digits\nchannels:\n  - conda-forge\n  - defaults\n  - nodefaults\ndependencies:\n"
        "  - python=3.11\n  - numpy>=1.20,<2   # old\n  - 'conda-forge::scipy'\n  - h5py 3.10.*\n  - pip\n"
        "  - pip:\n    - six>=1\n    - -e ./package\n    - -r more.txt\nprefix: /envs/digits\n",
        **{"more.txt": "tiny==1.0\n", "package/pyproject.toml": ""},
    )
    assert found.problems == []
    assert found.channels == ["conda-forge", "defaults", "nodefaults"]
    assert [(spec.text, where) for spec, where in found.packages] == [
        ("python 3.11.*", "environment.yml:8"),
        ("numpy >=1.20,<2", "environment.yml:9"),
        ('scipy[channel="https://conda.anaconda.org/conda-forge"]', "environment.yml:10"),
        ("h5py 3.10.*", "environment.yml:11"),
        ("pip", "environment.yml:12"),
    ]
    assert [(str(asked.requirement), asked.where) for asked in found.pip.requirements] == [
        ("six>=1", "environment.yml:14"),
        ("tiny==1.0", "more.txt:1"),
    ]
    assert [source.path for source in found.pip.sources] == ["package"]
    assert [note.split(" ")[0] for note in found.notes] == ["environment.yml:2:", "environment.yml:17:"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "\t- numpy\n", "environment.yml:4 is indented with a tab"),
        (HEAD + "  - numpy\n  - scipy: [\n", "environment.yml:6 cannot be read as YAML"),
        (HEAD + "  - numpy\n  -\tscipy\n", "environment.yml:5 is indented with a tab"),
        (HEAD + "  - &a numpy\n  - *a\n", "environment.yml:4 has an anchor or an alias"),
        (HEAD + "  - !!python/object/apply:os.system [id]\n", "environment.yml:4 has the tag"),
        (HEAD + "  - !!str numpy\n", "environment.yml:4 has the tag"),
        (HEAD + "  - numpy\n---\nname: two\n", "environment.yml:5 begins a second document"),
        (HEAD + "  - numpy\ndependencies:\n  - scipy\n", "gives 'dependencies' a second time, after line 3"),
        (HEAD + "  - " + "[" * 20 + "]" * 20 + "\n", "environment.yml:4 nests more than 8 levels deep"),
        (HEAD + "  - 3.11\n", "environment.yml:4 has the float '3.11' under dependencies"),
        (HEAD + "  - true\n", "environment.yml:4 has the bool 'true'"),
        (HEAD + "  -\n", "environment.yml:4 has the null ''"),
        (HEAD + "  - [numpy]\n", "environment.yml:4 has a list or a mapping under dependencies"),
        (HEAD + "  - conda: [numpy]\n", "environment.yml:4 has a mapping that is not the one pip: list"),
        (HEAD + "  - pip: [a]\n  - pip: [b]\n", "environment.yml:5 has a mapping that is not the one pip: list"),
        (HEAD + "  - pip: six\n", "environment.yml:4 has no list under pip"),
        (HEAD + "  - pip:\n    - --index-url https://evil.example\n", "environment.yml:5 has --index-url"),
        (HEAD + "  - pip:\n    - -r ../other.txt\n", "which lies outside the source folder"),
        (HEAD + "  - pip:\n    - six ; os_name == '$(id)' or `id`\n", "environment.yml:5"),
        (HEAD + "  - num py\n", "environment.yml:4 asks for 'num py' is no conda package"),
        (HEAD + "  - numpy[url=https://evil.example/x.conda]\n", "is no conda package"),
        (HEAD + "  - https://evil.example/x-1-0.conda\n", "is no conda package"),
        (HEAD + "  - ../x-1-0.conda\n", "is no conda package"),
        (HEAD + "  - https://evil.example/c::numpy\n", "is no channel of this server"),
        ("channels: conda-forge\ndependencies: [a]\n", "environment.yml:1 has no list under channels"),
        (
            "channels:\n  - file:///etc\ndependencies: [a]\n",
            "environment.yml:2 names 'file:///etc', which is no channel",
        ),
        ("channels:\n  - ../../x\ndependencies: [a]\n", "environment.yml:2 names '../../x', which is no channel"),
        ("dependencies: numpy\n", "environment.yml:1 has no list under dependencies"),
        ("name: digits\n", "has no dependencies"),
        ("variables:\n  A: b\ndependencies: [a]\n", "environment.yml:1 sets variables"),
        ("packages: []\ndependencies: [a]\n", "environment.yml:1 has the key 'packages', which is not known"),
        ("? [a]\n: b\n", "has a key that is no word"),
        ("- numpy\n", "environment.yml:1 has no mapping"),
        ("", "environment.yml:1 has no mapping"),
        (b"name: \xff\xfe\n", "environment.yml:1 is not UTF-8 text: byte 6"),
        ("name: a\x00b\n", "environment.yml:1"),
        (HEAD + "  - numpy\n" * 2_001, "environment.yml:2004 names one package too many"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(text: str | bytes, problem: str) -> None:
    problems = read(text).problems
    assert problem in " ".join(problems)
    assert len(problems) <= 20


def test_ten_megabytes_of_aliases_are_refused_at_once() -> None:
    bomb = "a: &a [x]\n" + "".join(f"b{n}: [*a, *a, *a, *a, *a, *a, *a, *a]\n" for n in range(270_000))
    assert len(bomb) > 10_000_000
    began = time.monotonic()
    assert read(bomb).problems == ["environment.yml is too large: a conda file may have 250,000 bytes."]
    assert "has an anchor or an alias" in read(bomb[:249_000]).problems[0]
    assert time.monotonic() - began < 1.0


def test_a_file_that_is_not_there_or_lies_outside_is_refused() -> None:
    nothing = conda_file_read("environment.yml", lambda path, size: None)
    assert nothing.problems == ["environment.yml is not in the source folder."]
    outside = conda_file_read("../environment.yml", lambda path, size: b"")
    assert "lies outside the source folder" in outside.problems[0]
