"""A named environment, built ahead of any run."""

from runs.environments import environment_build
from runs.environments.difference import lock_versions
from runs.services import named_build, named_create
from runs.spec import Definition
from runs.states import EnvironmentState
from tests.runs.environments.index import Index


def test_a_real_build_ahead_holds_what_the_text_says(index: Index, admin, target, monkeypatch):
    index.add_wheel("leaf", "1.5")
    index.add_wheel("tensorflow", "2.21.0")
    index.add_wheel("tensorflow_cpu", "2.21.0")
    index.add_wheel("tensorboard", "2.20.0")
    text = Definition(name="leafy", framework_version="2.21.0", requirements="leaf==1.5\n")
    named = named_create(owner=admin, definition=text)
    monkeypatch.setattr("runs.services.definitions.enqueue_build", environment_build)
    ordered = named_build(named.versions.get(), target=target, gpu=False)
    ordered.refresh_from_db()
    assert (ordered.state, ordered.error) == (EnvironmentState.READY, "")
    assert lock_versions(ordered.lock)["leaf"] == "1.5"
    assert named_build(named.versions.get(), target=target, gpu=False) == ordered
