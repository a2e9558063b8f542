import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import environment_request, versions
from runs.environments.catalogue import find, releases, shipped
from runs.environments.packages import packages_of, release_for
from runs.environments.request import environment_spec, spec_digest
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.spec import RunSpec
from runs.states import EnvironmentState

NEWEST = shipped()[0]


def packages(*lines: str, gpu: bool = False, machine: str = "x86_64"):
    return packages_of(lines, release_for(lines, NEWEST), gpu=gpu, machine=machine)


def test_versions_are_listed_newest_first() -> None:
    numbers = [tuple(int(part) for part in version.split(".")) for version in versions()]
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.parametrize(
    ("gpu", "machine", "requirement"),
    [
        (False, "x86_64", f"tensorflow-cpu=={NEWEST.version}"),
        (False, "aarch64", f"tensorflow=={NEWEST.version}"),
        (True, "x86_64", f"tensorflow[and-cuda]=={NEWEST.version}"),
    ],
)
def test_the_framework_fits_machine_and_gpu(gpu: bool, machine: str, requirement: str) -> None:
    assert packages(gpu=gpu, machine=machine).framework == (requirement,)


def test_tensorboard_comes_with_the_version_that_does_not_bring_it_unless_it_is_asked_for() -> None:
    assert packages().added == ("tensorboard",)
    asked = packages("tensorboard<2.21")
    assert (asked.added, asked.asked) == ((), ("tensorboard<2.21",))


@pytest.mark.parametrize(
    "line", ["tensorflow==2.18.1", "TensorFlow == 2.18.1", "tensorflow==2.18.0", "tensorflow~=2.18.0"]
)
def test_a_pin_of_the_framework_wins_and_decides_the_release(line: str) -> None:
    assert release_for([line], NEWEST).version == "2.18.1"
    found = packages(line, "pandas")
    assert found.framework_pinned
    assert len(found.framework) == 1
    assert found.framework[0].startswith("tensorflow")
    assert found.asked == ("pandas",)


@pytest.mark.parametrize(
    ("line", "framework"),
    [
        ("tensorflow", f"tensorflow-cpu=={NEWEST.version}"),
        ("tensorflow[and-cuda]", f"tensorflow[and-cuda]=={NEWEST.version}"),
        ("tensorflow-cpu", f"tensorflow-cpu=={NEWEST.version}"),
        ("tf-nightly", "tf-nightly"),
    ],
)
def test_a_framework_without_a_version_gets_the_releases_and_is_there_once(line: str, framework: str) -> None:
    found = packages(line)
    assert found.framework == (framework,)
    assert not found.framework_pinned
    assert found.asked == ()


@pytest.mark.parametrize(
    "line", ["-r /etc/passwd", "six @ https://example.org/six.whl", "six @ file:///etc/passwd", "a b"]
)
def test_a_line_that_is_no_plain_requirement_is_refused_by_name(line: str) -> None:
    with pytest.raises(EnvironmentFailed, match=r"requirement|names an address"):
        packages(line)


SPELLINGS = {
    "scikit-learn>=1,<2": ["scikit-learn>=1,<2", "Scikit_Learn <2, >=1", "scikit.learn>=1,<2"],
    "requests[security,socks]": ["requests[socks,security]", "Requests[Security, socks]"],
    "six": ["six", "SIX", " six "],
}


@given(
    st.permutations(list(SPELLINGS)).flatmap(
        lambda names: st.tuples(*(st.sampled_from(SPELLINGS[name]) for name in names))
    )
)
def test_order_and_spelling_of_packages_change_nothing(lines: tuple[str, ...]) -> None:
    assert packages(*lines) == packages(*SPELLINGS)


def test_the_same_needs_are_one_environment_and_other_needs_another(
    target: ComputeTarget, backend: ComputeBackend
) -> None:
    first = environment_request(RunSpec(pip_packages=("six", "Pandas>=2")), target, backend)
    same = environment_request(RunSpec(pip_packages=("pandas >=2", "six", "six")), target, backend)
    other = environment_request(RunSpec(pip_packages=("six",)), target, backend)
    assert first.pk == same.pk != other.pk
    assert first.state == EnvironmentState.REQUESTED
    assert first.last_used_at is not None
    assert first.python_version.startswith("3.")


def test_a_failed_environment_is_ordered_anew_by_the_next_run(target: ComputeTarget, backend: ComputeBackend) -> None:
    environment = environment_request(RunSpec(), target, backend)
    Environment.objects.filter(pk=environment.pk).update(state=EnvironmentState.FAILED, error="The disk was full.")
    again = environment_request(RunSpec(), target, backend)
    assert (again.pk, again.state, again.error) == (environment.pk, EnvironmentState.REQUESTED, "")


def test_a_ready_environment_that_is_gone_is_ordered_anew(target: ComputeTarget, backend: ComputeBackend) -> None:
    environment = environment_request(RunSpec(), target, backend)
    Environment.objects.filter(pk=environment.pk).update(state=EnvironmentState.READY, path="/nonexistent")
    assert environment_request(RunSpec(), target, backend).state == EnvironmentState.REQUESTED


def test_the_spec_says_who_pinned_the_framework(backend: ComputeBackend) -> None:
    pinned = environment_spec(RunSpec(pip_packages=("tensorflow==2.18.1",)), backend)
    assert pinned["framework"] == {"version": "2.18.1", "requirements": ["tensorflow==2.18.1"], "pinned_by": "user"}
    assert environment_spec(RunSpec(), backend)["framework"]["pinned_by"] == "platform"


def test_gpu_and_framework_version_change_the_digest(backend: ComputeBackend) -> None:
    specs = [RunSpec(), RunSpec(use_gpu=True), RunSpec(framework_version="2.20.0")]
    assert len({spec_digest(environment_spec(spec, backend)) for spec in specs}) == 3


def test_a_version_outside_the_catalogue_is_refused_with_those_that_are_in_it(backend: ComputeBackend) -> None:
    with pytest.raises(EnvironmentFailed, match=r"TensorFlow 1\.15 is not in the catalogue.*2\.21\.0"):
        environment_spec(RunSpec(framework_version="1.15"), backend)


def test_every_release_of_the_catalogue_is_found_by_its_version() -> None:
    assert [find(version) for version in versions()] == list(releases())
