"""The form of a named environment: what a new one holds, or the next version of one that is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from compute.masking import SECRET_NAME, is_secret_name
from runs.environments import versions
from runs.forms.rows import Row, RowsField, as_typed
from runs.forms.submit import package_lines
from runs.forms.widgets import code_line, code_lines
from runs.models import NamedEnvironment, Run
from runs.snapshots import snapshot_reader
from runs.spec import DEFINITION_NAME, Definition, Problem

_MOST_CHARACTERS = 200_000
_MOST_BYTES_READ = 4 * _MOST_CHARACTERS
_FIELD_OF = {"pip_requirements_file": "requirements", "conda_dependencies_file": "conda_file"}


def _lines(label: str, *, help_text: str, placeholder: str = "", rows: int = 3) -> forms.CharField:
    widget = code_lines(rows=rows, placeholder=placeholder)
    return forms.CharField(
        label=label, required=False, strip=False, max_length=_MOST_CHARACTERS, help_text=help_text, widget=widget
    )


class DefinitionForm(forms.Form):
    """Everything that one version holds, and how the named environment is called and shared."""

    base = forms.IntegerField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(
        label="Name",
        max_length=200,
        error_messages={"required": "Give it a name, such as vision."},
        help_text="Runs name it: letters, digits, - _ and ., at most 60 characters. It cannot be changed later.",
        widget=code_line(),
    )
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )
    is_shared = forms.BooleanField(
        label="Shared",
        required=False,
        help_text="Everybody may see and use it. Otherwise you and administrators alone.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    framework_version = forms.CharField(
        label="TensorFlow", required=False, max_length=40, widget=forms.Select(attrs={"class": "form-select"})
    )
    legacy_keras = forms.BooleanField(
        label="Legacy Keras",
        required=False,
        help_text="tf.keras is Keras 2 (package tf_keras). For TensorFlow 2.16 on.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    pip_packages = _lines(
        "pip packages",
        help_text="One a line, such as scikit-learn or pandas>=2. TensorFlow is there already; horovod is compiled.",
        placeholder="scikit-learn",
    )
    requirements = _lines(
        "Requirements",
        help_text="The text of a requirements file, installed together with the packages above.",
        placeholder="pandas==2.3.1 --hash=sha256:…",
    )
    conda_packages = _lines("conda packages", help_text="One a line, such as numpy>=2.", rows=2)
    conda_channels = _lines("conda channels", help_text="One a line. Empty: the channels of the installation.", rows=2)
    conda_file = _lines("conda file", help_text="The text of an environment.yml. It then names all packages itself.")
    environment_variables = RowsField(
        label="Environment variables",
    )
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=500,
        help_text="A line for the list of versions: what changed, and why.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, named: NamedEnvironment | None = None, **kwargs: Any) -> None:
        """``named`` is the one that gets a new version; its name stays."""
        super().__init__(*args, **kwargs)
        self.named = named
        self.extra_rows = 0
        if named is not None:
            self.fields["name"].disabled = True
            self.fields["name"].initial = named.name
        known = versions()
        asked = self["framework_version"].value() or ""
        others = [(asked, f"{asked} (not in the catalogue)")] if asked and asked not in known else []
        choices = [("", "The newest at the time of a build"), *((version, version) for version in known), *others]
        self.fields["framework_version"].widget.choices = choices

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not DEFINITION_NAME.fullmatch(name):
            raise forms.ValidationError(
                f"{name[:80]!r} cannot be a name: begin with a letter or digit, then letters, digits, - _ and ., at "
                "most 60 characters."
            )
        return name

    def clean_environment_variables(self) -> list[Row]:
        """The variables. A secret is refused: whoever sees the named environment could read it."""
        rows: list[Row] = self.cleaned_data["environment_variables"]
        names = [row.name for row in rows]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self.add_error("environment_variables", f"The variable {name!r} is given twice; keep one.")
            if is_secret_name(name):
                message = f"{name} looks like a secret, and everybody who sees a named environment can read it."
                self.add_error("environment_variables", f"{message} Leave it out.")
        return rows

    def definition(self) -> Definition:
        """What was typed; fields that the form itself could not read stand at their defaults."""
        data = self.cleaned_data
        return Definition(
            name=data.get("name", ""),
            framework_version=data.get("framework_version", ""),
            legacy_keras=data.get("legacy_keras", False),
            pip_packages=package_lines(data.get("pip_packages", "")),
            requirements=_text(data.get("requirements", "")),
            conda_packages=package_lines(data.get("conda_packages", "")),
            conda_channels=package_lines(data.get("conda_channels", "")),
            conda_file=_text(data.get("conda_file", "")),
            environment_variables={row.name: row.value for row in data.get("environment_variables", ())},
        )

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Puts each problem beside its field, except where the form could not read the field at all and said so."""
        unread = self.fields.keys() - self.cleaned_data.keys()
        for problem in problems:
            field = _FIELD_OF.get(problem.field, problem.field)
            if field not in unread:
                self.add_error(field if field in self.fields else None, problem.message)

    def begin_from(self, number: int) -> None:
        """Has the page say version ``number`` when it is sent again."""
        data = MultiValueDict(self.data)
        data["base"] = str(number)
        self.data = data

    @property
    def secret_names(self) -> str:
        """The pattern of names whose values are masked while they are typed."""
        return SECRET_NAME.pattern

    @property
    def variable_rows(self) -> list[Row]:
        rows = [row for row in self["environment_variables"].value() or () if not row.is_blank]
        return [*rows, *[Row()] * (self.extra_rows or 1)]

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """Every problem as (id of its field, the field's label, what is wrong), in the order of the page."""
        found = []
        for name in [None, *self.fields]:
            field = self[name] if name else None
            for message in self.errors.get(name or "__all__", ()):
                found.append((f"id_{name}" if field else "", str(field.label) if field else "", str(message)))
        return found


def definition_answers(definition: Definition, *, number: int | None = None) -> dict[str, Any]:
    """The answers that make ``definition`` again; ``number`` is the version that they begin from."""
    return {
        "base": number,
        "name": definition.name,
        "framework_version": definition.framework_version,
        "legacy_keras": definition.legacy_keras,
        "pip_packages": "\n".join(definition.pip_packages),
        "requirements": definition.requirements,
        "conda_packages": "\n".join(definition.conda_packages),
        "conda_channels": "\n".join(definition.conda_channels),
        "conda_file": definition.conda_file,
        "environment_variables": [
            Row(name=name, value=value) for name, value in definition.environment_variables.items()
        ],
    }


def definition_of_run(run: Run) -> Definition:
    """What ``run`` asked for, as the content of a named environment: its files by their texts, its variables without
    the secrets."""
    if run.definition is not None:
        return run.definition
    spec, read = run.spec, snapshot_reader(run.snapshot)
    variables = {name: value for name, value in spec.environment_variables.items() if not is_secret_name(name)}

    def text(path: str) -> str:
        content = read(path, _MOST_BYTES_READ) if path else None
        return _text((content or b"").decode("utf-8", errors="replace")[:_MOST_CHARACTERS])

    return Definition(
        framework_version=spec.framework_version,
        legacy_keras=spec.legacy_keras,
        pip_packages=spec.pip_packages,
        requirements=text(spec.pip_requirements_file),
        conda_packages=spec.conda_packages,
        conda_channels=spec.conda_channels,
        conda_file=text(spec.conda_dependencies_file),
        environment_variables=variables,
    )


def _text(typed: str) -> str:
    """``typed`` as a file: its own line ends, one at the end, nothing for blanks alone."""
    lines = as_typed(typed).rstrip()
    return f"{lines}\n" if lines else ""
