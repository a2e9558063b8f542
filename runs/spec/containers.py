"""What the options of containers mean together: the image, its registry, its own Python, its shared memory. Pure.

A target without containers refuses each of them by itself (``checks``); what contradicts itself does so on every
target.
"""

from __future__ import annotations

from runs.spec.run_spec import RunSpec

#: What asks for packages, and cannot stand beside an image whose Python is taken as it is.
_OF_PACKAGES = (
    *("framework_version", "legacy_keras", "pip_packages", "pip_requirements_file"),
    *("conda_packages", "conda_channels", "conda_dependencies_file"),
)
#: What only a container has.
_OF_CONTAINERS = ("custom_docker_image", "image_registry", "user_managed", "shm_size")


def container_contradictions(spec: RunSpec) -> list[tuple[str, str]]:
    """Pairs of a field and a sentence that names it and the one that it contradicts."""
    found = []
    packages = [name for name in _OF_PACKAGES if getattr(spec, name)]
    if spec.user_managed and packages:
        named = ", ".join(packages)
        sentence = f"A user-managed image brings its own Python. Leave {named} out, or untick user_managed."
        found.append(("user_managed", sentence))
    if spec.user_managed and not spec.custom_docker_image:
        sentence = "user_managed takes the Python of an image, and custom_docker_image names none. Name the image."
        found.append(("user_managed", sentence))
    if spec.image_registry and not spec.custom_docker_image:
        sentence = "image_registry says where an image comes from, and custom_docker_image names none. Name the image."
        found.append(("image_registry", sentence))
    if spec.image_registry_username and not spec.image_registry:
        sentence = "image_registry_username belongs to a registry, and image_registry names none. Name the registry."
        found.append(("image_registry_username", sentence))
    if not spec.use_docker:
        found += [
            (
                "use_docker",
                f"use_docker is off, and {name} is for containers alone. Leave {name} out, or tick use_docker.",
            )
            for name in _OF_CONTAINERS
            if getattr(spec, name)
        ]
    return found


def container_advice(spec: RunSpec, *, has_containers: bool) -> list[str]:
    """What is worth knowing of these options on a target that has, or has no containers, as sentences."""
    if has_containers or spec.use_docker:
        return []
    return ["use_docker is off, which makes no difference on this target: every script runs without a container there."]
