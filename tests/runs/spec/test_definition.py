"""One version of a named environment in place of a run's own package options."""

import dataclasses

import pytest

from runs.spec import Definition, RunSpec, Surroundings, TargetFacts, problems, reference_parts

FULL = Definition(
    name="vision",
    number=3,
    framework_version="2.21.0",
    legacy_keras=True,
    pip_packages=("pandas",),
    requirements="six==1.17.0\n",
    conda_packages=("ffmpeg",),
    conda_channels=("conda-forge",),
    environment_variables={"SEED": "7"},
)


def test_everything_of_it_reaches_the_run_and_the_rest_stays():
    spec = RunSpec(entry_script="main.py", use_gpu=True, environment_definition="vision@3", distributed_backend="mpi")
    applied = FULL.applied(spec)
    assert applied == RunSpec(
        entry_script="main.py",
        use_gpu=True,
        distributed_backend="mpi",
        framework_version="2.21.0",
        legacy_keras=True,
        pip_packages=("pandas",),
        pip_requirements_file="requirements.txt",
        conda_packages=("ffmpeg",),
        conda_channels=("conda-forge",),
        environment_variables={"SEED": "7"},
    )
    read = FULL.reader()
    assert read("requirements.txt", 5) == b"six=="
    assert read("environment.yml", 5) is None
    assert read("train.py", 5) is None


def test_it_comes_back_from_json_and_a_newer_field_is_refused():
    assert Definition.from_json(FULL.to_json()) == FULL
    with pytest.raises(ValueError, match="colour"):
        Definition.from_json({**FULL.to_json(), "colour": "red"})


def test_an_empty_text_is_no_file():
    assert Definition(name="a", number=1).applied(RunSpec()) == RunSpec()
    assert Definition().files == {}


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("vision", ("vision", None)),
        ("vision@3", ("vision", 3)),
        ("a.b-c_9@12", ("a.b-c_9", 12)),
        ("", None),
        ("vision@0", None),
        ("vision@-1", None),
        ("vision@3@4", None),
        ("<b>", None),
        ("-x", None),
        ("x" * 61, None),
        ("vision@" + "9" * 10, None),
    ],
)
def test_references_are_read_strictly(reference, parts):
    assert reference_parts(reference) == parts


def test_the_options_it_stands_in_for_are_named_when_they_are_given_beside_it():
    target = TargetFacts(name="local", abilities=frozenset({"named_environments", "conda", "containers"}))
    around = Surroundings(files={"train.py", "r.txt"}, target=target, targets=("local",))
    spec = RunSpec(environment_definition="vision@3")
    assert problems(spec, around) == []
    beside = dataclasses.replace(
        spec, pip_packages=("six",), environment_variables={"A": "1"}, pip_requirements_file="r.txt"
    )
    (problem,) = problems(beside, around)
    assert problem.field == "environment_definition"
    for words in ("vision@3", "the pip packages", "the requirements file", "the environment variables"):
        assert words in problem.message
