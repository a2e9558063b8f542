"""What a submission may ask for, and what it is told when it may not."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.masking import MASK
from runs.spec import RunSpec, Surroundings, TargetFacts, experiment_name_problems, problems

LOCAL = TargetFacts(name="local", abilities=frozenset(), gpus_per_node=(0,))
AROUND = Surroundings(
    files=frozenset({"train.py", "pkg/model.py", "data.csv"}),
    target=LOCAL,
    targets=("local",),
    versions=("2.21.0", "2.15.1"),
)


def told(spec: RunSpec, around: Surroundings = AROUND) -> list[tuple[str, str]]:
    return [(problem.field, problem.message) for problem in problems(spec, around)]


def test_the_documents_plain_example_has_no_problem():
    spec = RunSpec(script_params=(("--batch-size", 50), ("--learning-rate", 0.01)), pip_packages=("scikit-learn",))
    assert told(spec) == []


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (RunSpec(entry_script=""), "entry_script", "Name the script"),
        (
            RunSpec(entry_script="missing.py"),
            "entry_script",
            "There is no 'missing.py' in the source folder. It has pkg/model.py, train.py.",
        ),
        (RunSpec(entry_script="../train.py"), "entry_script", "lies outside"),
        (RunSpec(entry_script="/etc/passwd"), "entry_script", "lies outside"),
        (RunSpec(entry_script="pkg\\model.py"), "entry_script", "lies outside"),
        (RunSpec(script_params=(("", "x"),)), "script_params", "no parameter name"),
        (RunSpec(script_params=(("--a", 1), ("--a", 2))), "script_params", "given twice"),
        (RunSpec(script_params=(("--a", "b\0c"),)), "script_params", "NUL"),
        (RunSpec(script_params=(("--a", "x" * 200_000),)), "script_params", "200,000 bytes"),
        (RunSpec(node_count=0), "node_count", "node_count is 0; it must be a whole number from 1"),
        (RunSpec(process_count_per_node=-1), "process_count_per_node", "is -1"),
        (RunSpec(distributed_backend="gloo"), "distributed_backend", "mpi, ps, multiworker"),
        (RunSpec(distributed_backend="mpi"), "distributed_backend", "cannot run Horovod"),
        (RunSpec(max_run_duration_seconds=0), "max_run_duration_seconds", "is 0"),
        (RunSpec(max_retries=-1), "max_retries", "is -1"),
        (
            RunSpec(pip_packages=("-e ./pkg",)),
            "pip_packages",
            "names files of the source. Write it into a requirements",
        ),
        (RunSpec(pip_packages=("./pkg",)), "pip_packages", "Write it into a requirements file there"),
        (RunSpec(pip_packages=("scikit learn",)), "pip_packages", "'scikit learn' is no package requirement"),
        (RunSpec(pip_packages=("x @ https://example.org/x.whl",)), "pip_packages", "names an address"),
        (RunSpec(pip_packages=("git+https://example.org/x",)), "pip_packages", "names an address"),
        (
            RunSpec(pip_packages=("--index-url=https://evil.example",)),
            "pip_packages",
            "is no package requirement: options of pip have no place here",
        ),
        (RunSpec(framework_version="9.9"), "framework_version", "Known versions: 2.21.0, 2.15.1."),
        (RunSpec(conda_packages=("scikit-learn",)), "conda_packages", "cannot install conda packages"),
        (
            RunSpec(conda_dependencies_file="e.yml"),
            "conda_dependencies_file",
            "no 'e.yml' in the source folder. It has no",
        ),
        (RunSpec(conda_dependencies_file="../e.yml"), "conda_dependencies_file", "lies outside"),
        (
            RunSpec(conda_dependencies_file="e.yml", pip_packages=("six",)),
            "conda_dependencies_file",
            "leave the package lists empty",
        ),
        (RunSpec(pip_requirements_file="r.txt"), "pip_requirements_file", "no 'r.txt' in the source folder. It has no"),
        (RunSpec(pip_requirements_file="../r.txt"), "pip_requirements_file", "lies outside"),
        (RunSpec(pip_requirements_file="/etc/passwd"), "pip_requirements_file", "lies outside"),
        (RunSpec(user_managed=True, pip_requirements_file="r.txt"), "user_managed", "brings its own Python"),
        (
            RunSpec(conda_dependencies_file="e.yml", pip_requirements_file="r.txt"),
            "conda_dependencies_file",
            "name no requirements file",
        ),
        (
            RunSpec(legacy_keras=True, environment_variables={"TF_USE_LEGACY_KERAS": "0"}),
            "legacy_keras",
            "TF_USE_LEGACY_KERAS is '0'",
        ),
        (RunSpec(pip_packages=("six ; " + "(" * 5000,)), "pip_packages", "is no package requirement"),
        (RunSpec(custom_docker_image="img"), "custom_docker_image", "not in containers"),
        (RunSpec(image_registry="reg"), "image_registry", "not in containers"),
        (RunSpec(shm_size="2g"), "shm_size", "not in containers"),
        (RunSpec(user_managed=True, pip_packages=("six",)), "user_managed", "brings its own Python"),
        (RunSpec(environment_definition="mine"), "environment_definition", "named environments"),
        (RunSpec(inputs=("imagenet",)), "inputs", "data folders"),
        (RunSpec(resume_from="12"), "resume_from", "cannot resume"),
        (RunSpec(max_retries=2), "max_retries", "cannot retry"),
        (RunSpec(use_gpu=True), "use_gpu", "has no GPU"),
        (RunSpec(environment_variables={"1A": "x"}), "environment_variables", "cannot be a variable's name"),
        (RunSpec(environment_variables={"TRAINHOUSE_X": "x"}), "environment_variables", "set by the platform"),
        (RunSpec(environment_variables={"A": "x\0"}), "environment_variables", "NUL"),
    ],
)
def test_each_mistake_is_told_with_its_field(spec, field, words):
    assert any(name == field and words in message for name, message in told(spec)), told(spec)


def test_all_problems_are_told_at_once():
    spec = RunSpec(entry_script="no.py", node_count=0, pip_packages=("a b",), framework_version="1", use_gpu=True)
    fields = [field for field, _ in told(spec)]
    assert set(fields) >= {"entry_script", "node_count", "pip_packages", "framework_version", "use_gpu"}


def test_a_target_that_is_not_yours_names_those_that_are():
    around = Surroundings(files=frozenset({"train.py"}), target=None, targets=("local", "rack"))
    assert told(RunSpec(compute_target="secret"), around) == [
        ("compute_target", "There is no target 'secret' for you. Targets you may use: local, rack.")
    ]
    nobody = Surroundings(files=frozenset({"train.py"}), target=None)
    assert told(RunSpec(compute_target=""), nobody) == [
        ("compute_target", "No target is named. You may use no target yet.")
    ]


def test_without_a_source_folder_that_is_the_problem():
    assert ("source", "Upload the source folder: a zip file, or a folder.") in told(
        RunSpec(), Surroundings(files=None, target=LOCAL)
    )


@pytest.mark.parametrize(
    ("params", "argv"),
    [
        ({"--flag": ""}, ["--flag"]),
        ({"--flag": None}, ["--flag"]),
        ({"--flag": []}, ["--flag"]),
        ({"--n": 0}, ["--n", "0"]),
        ({"--b": True}, ["--b", "True"]),
        ({"--l": [1, None, "", 2]}, ["--l", "1", "2"]),
        ({"--z": 1, "--a": 2}, ["--z", "1", "--a", "2"]),
    ],
)
def test_parameters_become_arguments_as_the_estimator_did_it(params, argv):
    assert RunSpec(script_params=tuple(params.items())).argv == tuple(argv)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    params=st.lists(st.tuples(words, st.one_of(words, st.integers(), st.booleans(), st.none(), st.lists(words)))),
    variables=st.dictionaries(words, words),
    packages=st.lists(words),
)
def test_a_spec_survives_json(params, variables, packages):
    spec = RunSpec(script_params=tuple(params), environment_variables=variables, pip_packages=tuple(packages))
    again = RunSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.canonical() == spec.canonical()


@pytest.mark.parametrize("data", [{"schema": 2}, {"schema": 1, "no_such_field": 1}, {}])
def test_a_spec_of_another_version_is_refused(data):
    with pytest.raises(ValueError, match=r"schema|no_such_field"):
        RunSpec.from_json(data)


@pytest.mark.parametrize("name", ["API_KEY", "db_password", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MyCredential"])
def test_values_of_secret_looking_names_are_masked(name):
    assert RunSpec(environment_variables={name: "hunter2"}).masked().environment_variables == {name: MASK}


def test_other_values_are_shown():
    assert RunSpec(environment_variables={"EPOCHS": "3"}).masked().environment_variables == {"EPOCHS": "3"}


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 81, "<b>", "é", "a\n"])
def test_names_that_no_experiment_may_have(name):
    assert [problem.field for problem in experiment_name_problems(name)] == ["experiment"]


@pytest.mark.parametrize("name", ["digits", "Digits-2", "a", "mnist_v1.2", "x" * 80])
def test_names_that_an_experiment_may_have(name):
    assert experiment_name_problems(name) == []


@pytest.mark.parametrize("end", ["\n", "\r", "\v"])
def test_an_address_of_a_package_holds_no_further_line(end):
    line = f"six @ https://host.example/six.whl{end}--index-url=https://evil.example"
    ((field, message),) = told(RunSpec(pip_packages=(line,)), replace(AROUND, allow_urls=True))
    assert (field, "has no address that can be fetched" in message) == ("pip_packages", True)
