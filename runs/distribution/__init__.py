"""Which tasks a run has, as pure code: one module a distribution, found by the spec's ``distribution`` word."""

from runs.distribution.base import Distribution, Role
from runs.distribution.single import Single
from runs.spec import RunSpec

DISTRIBUTIONS: dict[str, Distribution] = {"single": Single()}


def distribution_of(spec: RunSpec) -> Distribution | None:
    """The distribution of ``spec``; None where this version has none of that word."""
    return DISTRIBUTIONS.get(spec.distribution)


__all__ = ["Distribution", "Role", "distribution_of"]
