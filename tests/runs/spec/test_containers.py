"""What the options of containers mean: on a target without them, and together."""

from dataclasses import replace

import pytest

from runs.spec import RunSpec, Surroundings, TargetFacts, container_advice, problems

IMAGE = RunSpec(custom_docker_image="house/tf:1")


def told(spec: RunSpec, *abilities: str) -> dict[str, str]:
    target = TargetFacts(name="local", abilities=frozenset(abilities))
    around = Surroundings(files=frozenset({"train.py", "r.txt", "e.yml"}), target=target)
    found: dict[str, str] = {}
    for problem in problems(spec, around):
        found[problem.field] = " ".join(filter(None, [found.get(problem.field), problem.message]))
    return found


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (IMAGE, "custom_docker_image"),
        (replace(IMAGE, image_registry="registry.example"), "image_registry"),
        (replace(IMAGE, user_managed=True), "user_managed"),
        (RunSpec(shm_size="2g"), "shm_size"),
    ],
)
def test_a_target_without_containers_refuses_what_is_for_them_and_one_with_them_does_not(
    spec: RunSpec, field: str
) -> None:
    assert told(spec)[field] == (
        f"Target local runs scripts in plain environments, not in containers: leave {field} empty."
    )
    assert told(spec, "containers") == {}


@pytest.mark.parametrize(
    ("spec", "field", "other"),
    [
        (RunSpec(user_managed=True), "user_managed", "custom_docker_image"),
        (replace(IMAGE, user_managed=True, pip_packages=("six",)), "user_managed", "pip_packages"),
        (replace(IMAGE, user_managed=True, pip_requirements_file="r.txt"), "user_managed", "pip_requirements_file"),
        (replace(IMAGE, user_managed=True, framework_version="2.21.0"), "user_managed", "framework_version"),
        (replace(IMAGE, user_managed=True, legacy_keras=True), "user_managed", "legacy_keras"),
        (
            replace(IMAGE, user_managed=True, environment_definition="mine"),
            "environment_definition",
            "the user-managed image",
        ),
        (RunSpec(image_registry="registry.example"), "image_registry", "custom_docker_image"),
        (replace(IMAGE, image_registry_username="me"), "image_registry_username", "image_registry"),
        (replace(IMAGE, use_docker=False), "use_docker", "custom_docker_image"),
        (RunSpec(use_docker=False, shm_size="2g"), "use_docker", "shm_size"),
    ],
)
def test_what_contradicts_itself_is_told_with_both_names_on_any_target(spec: RunSpec, field: str, other: str) -> None:
    for abilities in ((), ("containers", "named_environments")):
        assert other in told(spec, *abilities)[field]


def test_all_that_stands_beside_a_user_managed_image_is_named() -> None:
    spec = replace(IMAGE, user_managed=True, pip_packages=("six",), framework_version="2.21.0")
    assert told(spec, "containers")["user_managed"] == (
        "A user-managed image brings its own Python. Leave framework_version, pip_packages out, or untick user_managed."
    )


def test_use_docker_makes_no_difference_without_containers_and_that_is_said() -> None:
    assert told(RunSpec(use_docker=False)) == {}
    assert "makes no difference on this target" in container_advice(RunSpec(use_docker=False), has_containers=False)[0]
    assert container_advice(RunSpec(use_docker=False), has_containers=True) == []
    assert container_advice(RunSpec(), has_containers=False) == []
