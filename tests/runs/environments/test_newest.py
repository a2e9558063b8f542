"""The version for a run that names none, and the catalogue as an administrator has changed it."""

import pytest

from compute.backends.base import ComputeBackend
from runs.environments import advice_before, advice_on, newest_remembered, version_remarks
from runs.environments.catalogue import find, known, newest_offered, releases, shipped, versions, withdrawn
from runs.environments.interpreters import Interpreter
from runs.environments.newest import newest_release, why_not_newer
from runs.environments.request import environment_spec
from runs.errors import EnvironmentFailed
from runs.models import FrameworkVersion
from runs.spec import RunSpec, Surroundings, problems

AHEAD = {"version": "2.99.0", "pythons": "3.98, 3.99", "keras": 3}
WHY = "TensorFlow 2.99.0 needs Python 3.98 or 3.99: install one for everybody to have it."


@pytest.fixture
def ahead(backend: ComputeBackend) -> None:
    """A newer version for whose Pythons this machine is too old."""
    FrameworkVersion.objects.create(**AHEAD)


@pytest.mark.usefixtures("ahead")
def test_a_version_without_a_usable_python_is_passed_over(backend: ComputeBackend, interpreter: Interpreter) -> None:
    newest = newest_release(backend)
    assert newest.release == shipped()[0]
    assert newest.interpreter.minor in newest.release.pythons
    canonical = environment_spec(RunSpec(), backend)
    assert canonical["framework"]["version"] == shipped()[0].version
    assert canonical["python"] == newest.interpreter.identity


@pytest.mark.usefixtures("ahead")
def test_the_form_and_the_run_page_say_what_was_passed_over_and_why(backend: ComputeBackend) -> None:
    newest = newest_remembered(backend)
    (before,) = advice_before(RunSpec(), None, newest=newest)
    canonical = environment_spec(RunSpec(), backend)
    (after,) = advice_on(canonical, legacy_keras=False, names_version=False)
    assert before == after
    assert before.startswith(f"TensorFlow {shipped()[0].version} is the newest that a Python on the machine runs")
    assert before.endswith(WHY)
    assert version_remarks(canonical) == [before]


@pytest.mark.usefixtures("ahead")
def test_who_names_a_version_or_pins_one_is_told_nothing_of_newer_ones(backend: ComputeBackend) -> None:
    newest = newest_remembered(backend)
    assert advice_before(RunSpec(framework_version="2.20.0"), None, newest=newest) == []
    pinned = RunSpec(pip_packages=("tensorflow==2.20.0",))
    assert not any("2.99.0" in sentence for sentence in advice_before(pinned, None, newest=newest))
    assert version_remarks(environment_spec(pinned, backend)) == []
    named = environment_spec(RunSpec(framework_version="2.20.0"), backend)
    assert advice_on(named, legacy_keras=False, names_version=True) == []


@pytest.mark.usefixtures("ahead")
def test_naming_the_version_that_no_python_runs_says_what_to_install(backend: ComputeBackend) -> None:
    with pytest.raises(EnvironmentFailed, match=r"TensorFlow 2\.99\.0 needs Python 3\.98 or 3\.99 on the machine"):
        environment_spec(RunSpec(framework_version="2.99.0"), backend)


def test_without_any_fitting_python_the_newest_version_says_what_it_needs(backend: ComputeBackend) -> None:
    FrameworkVersion.objects.create(**AHEAD)
    for release in shipped():
        FrameworkVersion.objects.create(version=release.version, is_offered=False)
    with pytest.raises(EnvironmentFailed, match=r"TensorFlow 2\.99\.0 needs Python 3\.98 or 3\.99"):
        newest_release(backend)
    assert newest_remembered(backend) is None


def test_with_everything_switched_off_the_reason_is_said(backend: ComputeBackend) -> None:
    for release in shipped():
        FrameworkVersion.objects.create(version=release.version, is_offered=False)
    assert (versions(), newest_offered()) == ((), "")
    with pytest.raises(EnvironmentFailed, match=r"No TensorFlow version is on offer.*2\.21\.0.*Ask one to switch"):
        environment_spec(RunSpec(), backend)
    assert advice_before(RunSpec(), None, newest=newest_remembered(backend)) == []
    page = {"framework": {"version": "2.20.0", "requirements": ["tensorflow-cpu==2.20.0"], "pinned_by": "platform"}}
    assert "tf_keras 2.20 is installed" in advice_on(page, legacy_keras=True)[0]


def test_a_version_that_is_switched_off_is_not_offered_and_is_named_so(backend: ComputeBackend) -> None:
    FrameworkVersion.objects.create(version="2.20.0", is_offered=False)
    assert "2.20.0" not in versions()
    assert find("2.20.0") is None
    assert withdrawn() == ("2.20.0",)
    assert [release.version for release in known()] == [release.version for release in shipped()]
    with pytest.raises(EnvironmentFailed, match=r"TensorFlow 2\.20\.0 is switched off here\. Known versions: 2\.21\.0"):
        environment_spec(RunSpec(framework_version="2.20.0"), backend)
    around = Surroundings(files=None, target=None, versions=versions(), withdrawn=withdrawn())
    found = problems(RunSpec(framework_version="2.20.0"), around)
    assert any("TensorFlow 2.20.0 is switched off here." in problem.message for problem in found)


def test_a_pin_of_a_version_that_is_switched_off_gets_its_python(backend: ComputeBackend) -> None:
    FrameworkVersion.objects.create(version="2.15.1", is_offered=False)
    canonical = environment_spec(RunSpec(pip_packages=("tensorflow==2.15.1",)), backend)
    assert canonical["framework"]["version"] == "2.15.1"


def test_a_version_of_ones_own_is_merged_by_its_number(backend: ComputeBackend) -> None:
    FrameworkVersion.objects.create(
        version="2.20.1", pythons="3.11, 3.12", keras=3, added="tensorboard\nsix", limits="Ours.\n\nTry it."
    )
    own = find("2.20.1")
    assert own is not None
    assert (own.pythons, own.added, own.limits) == (("3.11", "3.12"), ("tensorboard", "six"), ("Ours.", "Try it."))
    assert (own.is_shipped, own.is_offered) == (False, True)
    at = versions().index("2.20.1")
    assert versions()[at - 1 : at + 2] == ("2.21.0", "2.20.1", "2.20.0")
    assert environment_spec(RunSpec(framework_version="2.20.1"), backend)["added"] == ["tensorboard", "six"]


def test_a_change_is_seen_at_once_and_its_end_too(backend: ComputeBackend) -> None:
    row = FrameworkVersion.objects.create(version="2.21.0", is_offered=False)
    assert releases()[0].version == "2.20.0"
    row.delete()
    assert releases() == shipped()


def test_with_horovod_a_version_that_has_none_is_passed_over(backend: ComputeBackend, interpreter: Interpreter) -> None:
    row = FrameworkVersion.objects.create(version="2.98.0", pythons=interpreter.minor, keras=3)
    assert newest_release(backend).release.version == "2.98.0"
    assert newest_release(backend, horovod=True).release == shipped()[0]
    assert "TensorFlow 2.98.0 has none." in why_not_newer(shipped()[0].version, interpreter.minor, horovod=True)
    row.horovod_as = "2.21.0"
    row.save()
    assert newest_release(backend, horovod=True).release.version == "2.98.0"
