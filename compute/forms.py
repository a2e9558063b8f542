"""The forms of the admin's pages."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from compute.backends.local.layout import LIMITS, LocalConfig, config_problems
from compute.models import ComputeTarget


def _count(key: str, *, label: str, help_text: str) -> forms.IntegerField:
    least, most = LIMITS[key]
    return forms.IntegerField(
        label=label,
        initial=getattr(LocalConfig(), key),
        help_text=help_text,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"min": least, "max": most}),
        error_messages={"required": f"Write a whole number from {least} to {most}."},
    )


class ComputeTargetForm(forms.ModelForm):
    """A target with a field for each key of its configuration."""

    virtual_nodes = _count(
        "virtual_nodes",
        label="Virtual nodes",
        help_text="As how many nodes this machine is shown. They share its cores, memory and GPUs.",
    )
    simulated_gpus = _count(
        "simulated_gpus",
        label="Simulated GPUs a node",
        help_text="Only on a machine without a GPU. A run on a simulated GPU trains on the CPU, and its page says so.",
    )

    class Meta:
        model = ComputeTarget
        fields: ClassVar[list[str]] = ["name", "kind", "description", "is_open"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key in LIMITS:
            if key in self.instance.config:
                self.initial[key] = self.instance.config[key]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        config = {key: cleaned[key] for key in LIMITS if key in cleaned}
        for key, sentence in config_problems(config):
            self.add_error(key, sentence)
        self.instance.config = config
        return cleaned
