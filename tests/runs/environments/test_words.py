"""What a failed build says, and what never gets into its log."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.environments.failures import failure_sentence
from runs.environments.lock import LockReader, lock_packages
from runs.environments.output import CommandOutput, masked_line
from runs.errors import EnvironmentFailed

HEAD = "error: No solution found when resolving dependencies\n  cause: "

#: Words of uv 0.13 as it said them, and what of them the sentence must keep.
SAID = [
    (
        HEAD + "Because no-such-package was not found in the package registry and you require no-such-package, "
        "we can conclude that your requirements are unsatisfiable.",
        ["has no package 'no-such-package'", "spelling"],
    ),
    (
        HEAD + "Because there is no version of six==99.1 and you require six==99.1, we can conclude that your "
        "requirements are unsatisfiable.",
        ["no version that fits six==99.1. Ask for another version of it."],
    ),
    (
        HEAD + "Because tensorflow-cpu==2.21.0 depends on numpy>=1.26.0 and you require numpy<1.20, we can conclude "
        "that your requirements and tensorflow-cpu==2.21.0 are incompatible.\n"
        "         And because you require tensorflow-cpu==2.21.0, we can conclude that your requirements are "
        "unsatisfiable.",
        ["do not fit together", "numpy>=1.26.0", "numpy<1.20"],
    ),
    (
        HEAD + "Because tensorflow-cpu==2.15.1 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you "
        "require tensorflow-cpu==2.15.1, we can conclude that your requirements are unsatisfiable.\n\n"
        "hint: You require CPython 3.13 (`cp313`), but we only found wheels for `tensorflow-cpu` (v2.15.1) with the "
        "following Python ABI tags: `cp39`, `cp310`, `cp311`",
        ["tensorflow-cpu==2.15.1", "CPython 3.13"],
    ),
    (
        HEAD + "Because the current Python version (3.10.2) does not satisfy Python>=3.11 and networkx==3.6 depends "
        "on Python>=3.11, we can conclude that networkx==3.6 cannot be used.",
        ["networkx==3.6 needs Python >=3.11", "3.10.2"],
    ),
    (
        "error: Failed to build `broken==1.0`\n  cause: The build backend returned an error\n"
        "  cause: Call to `backend.build_wheel` failed (exit status: 1)\n\n         [stderr]\n"
        "         graphviz/cgraph.h: No such file or directory\n\n"
        "hint: Build failures usually indicate a problem with the package or the build environment",
        ["broken==1.0", "graphviz/cgraph.h: No such file"],
    ),
    (
        "error: Request failed after 3 retries in 9.1s\n  cause: Failed to fetch: https://host.invalid/simple/six/\n"
        "  cause: error sending request for url (https://host.invalid/simple/six/)\n"
        "  cause: failed to lookup address information: Name or service not known",
        ["cannot be reached at https://host.invalid/simple/six/", "Name or service not known"],
    ),
    (
        "error: Failed to fetch: `https://host.invalid/simple/six/`\n"
        "  cause: HTTP status client error (401 Unauthorized) for url (https://host.invalid/simple/six/)",
        ["answered https://host.invalid/simple/six/ with 401 Unauthorized"],
    ),
    (
        "error: Failed to download `numpy==2.4.6`\n  cause: failed to write to file `/x/y.so`: "
        "No space left on device (os error 28)",
        ["disk", "full"],
    ),
    ("error: something new\n  cause: nobody has seen yet", ["exit code 2", "something new", "nobody has seen yet"]),
    ("", ["exit code 2", "it said nothing"]),
]


@pytest.mark.parametrize(("said", "kept"), SAID)
def test_the_sentence_names_the_package_and_the_reason(said: str, kept: list[str]) -> None:
    sentence = failure_sentence(said, what="Installing the packages", code=2)
    for words in kept:
        assert words in sentence
    assert "\n" not in sentence


def test_a_signal_is_said() -> None:
    assert "signal 9" in failure_sentence("", what="Installing the packages", code=-9)


def test_an_endless_reason_is_cut() -> None:
    assert len(failure_sentence("error: " + "x " * 10_000, what="It", code=1)) < 1000


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"see https://user:pa55@host/simple", b"see https://***@host/simple"),
        (b"https://token@host/a https://b:c@d/e", b"https://***@host/a https://***@d/e"),
        (b"https://host/a@b", b"https://host/a@b"),
        (b"the word hunter22 itself", b"the word *** itself"),
    ],
)
def test_user_names_and_passwords_are_masked(line: bytes, shown: bytes) -> None:
    assert masked_line(line, [b"hunter22"]) == shown


@given(st.lists(st.integers(1, 30), max_size=20))
def test_a_password_is_masked_however_the_output_is_cut(cuts: list[int]) -> None:
    said = "first\nget https://user:pa55@host/simple now\nlast é".encode()
    written: list[bytes] = []
    sink = SimpleNamespace(masked=lambda line: masked_line(line, []), write=written.append)
    output = CommandOutput(sink, lambda line: True)  # type: ignore[arg-type]
    at = 0
    for cut in [*cuts, len(said)]:
        output.write(said[at : at + cut])
        at += cut
    output.finish()
    assert b"".join(written).decode() == "first\nget https://***@host/simple now\nlast é\n"
    assert "pa55" not in output.tail


def test_only_pinned_packages_and_hashes_get_into_a_lock() -> None:
    reader = LockReader()
    said = [
        "Resolved 2 packages in 3ms",
        "--index-url https://user:pa55@host/simple",
        "leaf==1.5 \\",
        "    --hash=sha256:00ff",
        "-e file:///etc",
        "tree==2.0+cpu \\",
        "    --hash=sha256:00ff \\",
        "    --hash=sha256:11ee",
        "other @ https://host/other.whl",
    ]
    log = [line for line in said if reader.line(line)]
    assert log == [said[0], said[1], said[4], said[8]]
    assert lock_packages(reader.text()) == ["leaf==1.5", "tree==2.0+cpu"]


@pytest.mark.parametrize("lines", [[], ["leaf==1.5"], ["leaf==1.5 \\", "    --hash=sha256:00", "tree==2.0"]])
def test_a_lock_without_hashes_is_refused(lines: list[str]) -> None:
    reader = LockReader()
    for line in lines:
        reader.line(line)
    with pytest.raises(EnvironmentFailed):
        reader.text()
