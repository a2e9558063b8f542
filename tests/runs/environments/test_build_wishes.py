"""Real builds from requirements files: constraints, hashes, addresses, and the second TensorFlow that stays away."""

import hashlib
import os
from collections.abc import Callable

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import environment_build, environment_request
from runs.environments.difference import lock_versions
from runs.environments.lock import lock_packages
from runs.models import Environment
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.runs.environments.index import Index

Order = Callable[..., Environment]


def wish(environment: Environment, **wishes: object) -> Environment:
    environment.spec |= wishes
    environment.save(update_fields=["spec"])
    return environment


def sha256(index: Index, file: str) -> str:
    return f"sha256:{hashlib.sha256(index.files[file]).hexdigest()}"


def test_a_constraint_limits_what_is_installed_and_installs_nothing(index: Index, order: Order) -> None:
    for version in ("1.0", "2.0"):
        index.add_wheel("leaf", version)
    index.add_wheel("tree", "1.0", requires=("leaf",))
    built = environment_build(wish(order("tree"), constraints=["leaf<2", "absent==1"]).pk)
    assert (built.error, lock_packages(built.lock)) == ("", ["leaf==1.0", "tree==1.0"])


def test_a_hash_that_fits_is_the_only_one_that_is_locked(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    index.add_source("leaf", "1.0", action="pass")
    index.add_wheel("tree", "1.0")
    wanted = sha256(index, "leaf-1.0-py3-none-any.whl")
    built = environment_build(wish(order("leaf==1.0", "tree"), hashes={"leaf": [wanted]}).pk)
    assert built.state == EnvironmentState.READY, built.error
    assert built.lock.count("--hash=") == 2
    assert f"--hash={wanted}" in built.lock
    assert sha256(index, "leaf-1.0.tar.gz") not in built.lock


def test_a_hash_that_does_not_fit_stops_the_build_before_anything_is_installed(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    environment = wish(order("leaf==1.0"), hashes={"leaf": ["sha256:" + "0" * 64]})
    built = environment_build(environment.pk)
    assert built.state == EnvironmentState.FAILED
    assert "leaf==1.0 has another SHA-256 than the requirements file names" in built.error
    assert (built.lock, built.path) == ("", "")


def test_a_package_by_address_is_locked_with_its_hash(index: Index, order: Order) -> None:
    index.add_wheel("leaf", "1.0")
    address = f"http://127.0.0.1:{index.port}/files/leaf-1.0-py3-none-any.whl"
    built = environment_build(order(f"leaf @ {address}").pk)
    assert built.state == EnvironmentState.READY, built.error
    assert lock_packages(built.lock) == [f"leaf @ {address}"]
    assert lock_versions(built.lock) == {"leaf": address}
    assert sha256(index, "leaf-1.0-py3-none-any.whl") in built.lock


def test_legacy_keras_comes_without_a_second_tensorflow(
    index: Index, target: ComputeTarget, backend: ComputeBackend
) -> None:
    index.add_wheel("tensorflow", "2.18.1")
    index.add_wheel("tensorflow_cpu", "2.18.1")
    for version in ("2.18.0", "2.19.0"):
        index.add_wheel("tf_keras", version, requires=("tensorflow<2.20,>=2.18",))
    spec = RunSpec(framework_version="2.18.1", legacy_keras=True, pip_packages=("tensorflow-cpu",))
    built = environment_build(environment_request(spec, target, backend).pk)
    assert built.state == EnvironmentState.READY, built.error
    assert lock_packages(built.lock) == ["tensorflow-cpu==2.18.1", "tf-keras==2.18.0"]
    assert os.path.isdir(built.path)
