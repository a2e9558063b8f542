import pytest
from packaging.requirements import Requirement

from runs.environments import wishes_of
from runs.environments.catalogue import find
from runs.environments.horovod.recipe import EDITS, SDIST_SHA256
from runs.environments.horovod.wanted import framework_problem, horovod_wanted, line_problem, recipe_of
from runs.environments.packages import packages_of
from runs.environments.requirements import Asked
from runs.errors import EnvironmentFailed
from runs.spec import RunSpec


def asked(line: str, *hashes: str) -> Asked:
    return Asked(requirement=Requirement(line), where="requirements.txt:3", hashes=hashes)


@pytest.mark.parametrize(
    "line", ["horovod", "horovod==0.28.1", "Horovod>=0.28", "horovod[tensorflow,keras]", "horovod ~= 0.28.0"]
)
def test_lines_that_the_wheel_satisfies_are_taken(line: str) -> None:
    assert line_problem(asked(line)) == ""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("horovod==0.27.0", "cannot be met"),
        ("horovod>=0.29", "cannot be met"),
        ("horovod[pytorch]", "asks for pytorch"),
        ("horovod[tensorflow,spark]", "asks for spark"),
        ("horovod @ https://example.org/horovod.zip", "names an address"),
        ("horovod ; python_version < '3.9'", "has a condition"),
    ],
)
def test_any_other_line_is_refused_with_the_version_that_is_built_here(line: str, reason: str) -> None:
    problem = line_problem(asked(line))
    assert reason in problem
    assert "Horovod 0.28.1 is the version that is built here" in problem
    assert "requirements.txt:3" in problem


def test_a_hash_of_the_release_is_taken_and_another_is_not() -> None:
    assert line_problem(asked("horovod==0.28.1", f"sha256:{SDIST_SHA256}")) == ""
    assert "another hash" in line_problem(asked("horovod==0.28.1", "sha256:" + "0" * 64))


def test_the_problem_stands_at_the_field_that_has_the_line() -> None:
    spec = RunSpec(pip_packages=("horovod==0.19",), pip_requirements_file="requirements.txt")
    problems = wishes_of(spec, lambda path, size: b"horovod[mxnet]\n").problems
    assert [problem.field for problem in problems] == ["pip_packages", "pip_requirements_file"]


def test_it_is_wanted_by_the_distribution_or_by_its_name() -> None:
    assert horovod_wanted("mpi", [])
    assert horovod_wanted(None, [asked("Horovod")])
    assert not horovod_wanted("ps", [asked("horovod-extras")])


def test_it_does_not_go_to_the_resolver() -> None:
    release = find("2.21.0")
    assert release is not None
    packages = packages_of(["horovod", "six"], release, gpu=False, machine="x86_64")
    assert packages.asked == ("six",)


@pytest.mark.parametrize(("version", "xla"), [("2.15.1", True), ("2.18.0", True), ("2.19.1", False), ("2.21.0", False)])
def test_every_version_of_the_catalogue_has_a_recipe_and_so_have_its_neighbours(version: str, xla: bool) -> None:
    recipe = recipe_of(version)
    assert recipe.version == "0.28.1"
    assert set(recipe.edits) <= set(EDITS)
    assert ("without-xla" not in recipe.edits) is xla


@pytest.mark.parametrize("line", ["tensorflow==2.13.1", "tensorflow~=2.12.0", "tensorflow==1.15.5"])
def test_a_version_without_a_recipe_is_refused_with_those_that_have_one(line: str) -> None:
    problem = framework_problem([line])
    assert "has no Horovod here" in problem
    assert "2.21.0" in problem
    with pytest.raises(EnvironmentFailed, match=r"2\.99"):
        recipe_of("2.99.0")


@pytest.mark.parametrize("line", ["tf-nightly", "tf-nightly-cpu", "tensorflow @ https://example.org/tf.whl"])
def test_a_nightly_and_an_address_are_no_release(line: str) -> None:
    assert "is no release that Horovod can be built for" in framework_problem([line])


def test_a_range_is_left_to_the_resolver() -> None:
    assert framework_problem(["tensorflow-cpu>=2.18"]) == ""
