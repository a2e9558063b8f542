"""The part of the form that says how a run is spread over processes and nodes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from django import forms

from runs.spec import RunSpec

CHOICES = (
    ("", "One process"),
    ("mpi", "Horovod (MPI)"),
    ("ps", "Parameter servers"),
    ("multiworker", "Equal workers (MultiWorkerMirroredStrategy)"),
)

#: What each distribution asks for; the other fields keep the spec's defaults.
FIELDS_OF: dict[str, tuple[str, ...]] = {
    "": (),
    "mpi": ("node_count", "process_count_per_node"),
    "ps": ("node_count", "worker_count", "parameter_server_count", "coordinator"),
    "multiworker": ("node_count", "worker_count"),
}
FIELDS = ("node_count", "process_count_per_node", "worker_count", "parameter_server_count", "coordinator")


def _number(label: str, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"class": "form-control", "min": 1, "step": 1, "inputmode": "numeric"}),
    )


class DistributionFields(forms.Form):
    """To be inherited: the fields, and what they make of a spec."""

    distributed_backend = forms.ChoiceField(
        label="Distribution",
        required=False,
        choices=CHOICES,
        widget=forms.Select(attrs={"class": "form-select", "data-distribution": ""}),
    )
    node_count = _number("Nodes", "Machines, or virtual nodes of one.")
    process_count_per_node = _number("Processes a node", "Ranks of Horovod on each node.")
    worker_count = _number("Workers", "In all, laid over the nodes.")
    parameter_server_count = _number("Parameter servers", "In all. They hold no GPU.")
    coordinator = forms.BooleanField(
        label="Coordinator",
        required=False,
        help_text="TensorFlow 2's ParameterServerStrategy: a chief runs the script, the others TensorFlow's server. "
        "Without it, workers and servers all run the script, which reads TF_CONFIG.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def clean(self) -> dict[str, Any] | None:
        """What stands in a field that the chosen distribution does not have, and the page does not show, is nobody's
        mistake."""
        cleaned = super().clean()
        chosen = self.cleaned_data.get("distributed_backend", "-")
        for name in set(FIELDS) - set(FIELDS_OF.get(chosen, FIELDS)):
            self.errors.pop(name, None)
        return cleaned

    @staticmethod
    def distribution_of(values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a RunSpec in ``values``: those that the chosen distribution has, the others at their
        defaults. An empty number is the default too."""
        chosen = values.get("distributed_backend") or ""
        defaults = RunSpec()
        found: dict[str, Any] = {"distributed_backend": chosen or None}
        for name in FIELDS_OF.get(chosen, FIELDS):
            value = values.get(name)
            found[name] = getattr(defaults, name) if value in (None, "") else value
        return found

    @staticmethod
    def distribution_answers(spec: RunSpec) -> dict[str, Any]:
        """What stands in the fields for ``spec``."""
        return {"distributed_backend": spec.distributed_backend or "", **{name: getattr(spec, name) for name in FIELDS}}


def in_form_words(message: str) -> str:
    """``message`` with the counts under the labels that they have in the form."""
    for name in FIELDS:
        message = re.sub(rf"\b{name}\b", str(DistributionFields.base_fields[name].label), message)
    return message


def as_counts(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the fields, numbers read as far as they can be; others are left out, which the form says."""
    found: dict[str, Any] = {}
    for name, value in shown.items():
        if name in ("distributed_backend", "coordinator"):
            found[name] = value
        else:
            with contextlib.suppress(ValueError):  # no number, or one of thousands of digits
                found[name] = int(str(value))
    return found
