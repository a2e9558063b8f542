"""The form of a new run. It makes a RunSpec; what is wrong with it is said by ``runs.spec`` alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.db.models import Prefetch
from django.utils.datastructures import MultiValueDict

from compute.masking import MASK, SECRET_NAME
from compute.models import ComputeTarget
from compute.registry import backend_of
from runs.environments import newest_remembered, versions
from runs.forms.distribution import FIELDS, DistributionFields, in_form_words
from runs.forms.rows import Row, RowsField, as_typed
from runs.forms.widgets import code_line, code_lines, described
from runs.models import Experiment, NamedEnvironmentVersion, Run, Upload
from runs.permissions import named_environments_visible_to, targets_for
from runs.spec import Problem, RunSpec

if TYPE_CHECKING:
    from accounts.models import User

UPLOAD, CLONE, SERVER_PATH = "upload", "clone", "path"

#: Where a problem of the spec is shown when the form has no field of that name.
_FIELD_OF = {"max_run_duration_seconds": "max_hours"}

#: Of named environments, and of each one's versions, that can be chosen in the form.
_MOST_NAMES = 200
_MOST_VERSIONS = 10

_BLANK_ROWS = 2
_MORE_ROWS = 3


class SubmitForm(DistributionFields):
    """Everything that a person may say about a run that a target of today can do."""

    submission_key = forms.CharField(max_length=40, widget=forms.HiddenInput)
    cloned_from = forms.IntegerField(required=False, widget=forms.HiddenInput)
    upload = forms.UUIDField(required=False, widget=forms.HiddenInput)

    source = forms.ChoiceField(label="Source", required=False, widget=forms.RadioSelect)
    archive = forms.FileField(
        label="Zip file",
        required=False,
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"class": "form-control", "accept": ".zip,application/zip"}),
    )
    server_path = forms.CharField(
        label="Folder on the server",
        required=False,
        strip=False,
        max_length=4000,
        widget=forms.TextInput(attrs={"class": "form-control mono", "placeholder": "/srv/projects/digits"}),
    )
    entry_script = forms.CharField(
        label="Entry script",
        required=False,
        max_length=1024,
        help_text="The Python file to start, as a path inside the source.",
        widget=code_line(list="scripts"),
    )
    script_params = RowsField(label="Script parameters")
    environment_definition = forms.CharField(
        label="Named environment",
        required=False,
        max_length=80,
        help_text="Packages and variables saved under a name. It stands in for everything that the run names itself.",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    framework_version = forms.CharField(
        label="TensorFlow", required=False, max_length=40, widget=forms.Select(attrs={"class": "form-select"})
    )
    pip_packages = forms.CharField(
        label="pip packages",
        required=False,
        max_length=20_000,
        help_text="One a line, such as scikit-learn or pandas>=2. TensorFlow is there already.",
        widget=code_lines(placeholder="scikit-learn", **described("pip_packages")),
    )
    pip_requirements_file = forms.CharField(
        label="Requirements file",
        required=False,
        strip=False,
        max_length=1024,
        help_text="A file of the source in pip's format. Its packages are installed together with those above.",
        widget=code_line(list="requirements", placeholder="requirements.txt"),
    )
    conda_packages = forms.CharField(
        label="conda packages",
        required=False,
        max_length=20_000,
        help_text="One a line, such as scikit-learn or pandas>=2. TensorFlow always comes from PyPI.",
        widget=code_lines(placeholder="numpy=1.26", **described("conda_packages")),
    )
    conda_channels = forms.CharField(
        label="Channels",
        required=False,
        max_length=2000,
        widget=code_line(**described("conda_channels")),
    )
    conda_dependencies_file = forms.CharField(
        label="Conda file",
        required=False,
        strip=False,
        max_length=1024,
        help_text="A file of the source in conda's format. It names everything: the other package fields stay empty.",
        widget=code_line(list="conda-files", placeholder="environment.yml", **described("conda_dependencies_file")),
    )
    legacy_keras = forms.BooleanField(
        label="Legacy Keras",
        required=False,
        help_text="tf.keras is Keras 2 (package tf_keras), for scripts that Keras 3 breaks. For TensorFlow 2.16 on.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    compute_target = forms.CharField(
        label="Target", required=False, max_length=60, widget=forms.Select(attrs={"class": "form-select"})
    )
    use_gpu = forms.BooleanField(
        label="Train on a GPU", required=False, widget=forms.CheckboxInput(attrs={"class": "form-check-input"})
    )
    environment_variables = RowsField(label="Environment variables")
    keras_metrics = forms.BooleanField(
        label="Automatic Keras metrics",
        required=False,
        help_text="Curves and progress from model.fit, without a change to the script.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    max_hours = forms.FloatField(
        label="Hours",
        required=False,
        min_value=0,
        max_value=100_000,
        widget=forms.NumberInput(attrs={"class": "form-control", "min": 0, "step": "any", "placeholder": "0"}),
    )
    max_minutes = forms.FloatField(
        label="Minutes",
        required=False,
        min_value=0,
        max_value=6_000_000,
        widget=forms.NumberInput(attrs={"class": "form-control", "min": 0, "step": "any", "placeholder": "0"}),
    )
    experiment = forms.CharField(
        label="Experiment",
        required=False,
        max_length=200,
        help_text="Runs that belong together. A new name begins a new one.",
        widget=forms.TextInput(attrs={"class": "form-control", "list": "experiments", "autocomplete": "off"}),
    )
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=2000,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off", "placeholder": "Optional"}),
    )
    tags = forms.CharField(
        label="Tags",
        required=False,
        max_length=20_000,
        help_text="Separated by commas.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    notes = forms.CharField(
        label="Notes",
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )

    def __init__(self, *args: Any, user: User, clone: Run | None = None, **kwargs: Any) -> None:
        """``clone`` is the run whose answers stand in the form; its secrets do not."""
        super().__init__(*args, **kwargs)
        self.order_fields([name for name in self.fields if name not in ("distributed_backend", *FIELDS)])
        self.user = user
        self.clone = clone
        self.targets: list[ComputeTarget] = targets_for(user)
        self.versions = versions()
        self.extra_rows = {"script_params": 0, "environment_variables": 0}
        channels = ", ".join(settings.ENV.conda_channels)
        self.fields["conda_channels"].help_text = f"Separated by commas, the first one counts first. Empty: {channels}."
        self.fields["source"].choices = self._sources()  # type: ignore[attr-defined]
        self.fields["environment_definition"].widget.choices = self._definition_choices()
        self.fields["framework_version"].widget.choices = self._version_choices()
        self.fields["compute_target"].widget.choices = [(target.name, target.name) for target in self.targets]

    # ---- what it makes

    def spec(self) -> RunSpec:
        """The RunSpec of what was typed; fields that the form itself could not read stand at their defaults."""
        data = self.cleaned_data
        seconds = (data.get("max_hours") or 0) * 3600 + (data.get("max_minutes") or 0) * 60
        return RunSpec(
            entry_script=data.get("entry_script", ""),
            script_params=tuple((row.name, row.value) for row in data.get("script_params", ())),
            compute_target=data.get("compute_target", ""),
            use_gpu=data.get("use_gpu", False),
            environment_definition=data.get("environment_definition", ""),
            pip_packages=package_lines(data.get("pip_packages", "")),
            pip_requirements_file=data.get("pip_requirements_file", ""),
            conda_packages=package_lines(data.get("conda_packages", "")),
            conda_channels=channel_names(data.get("conda_channels", "")),
            conda_dependencies_file=data.get("conda_dependencies_file", ""),
            legacy_keras=data.get("legacy_keras", False),
            environment_variables={row.name: row.value for row in data.get("environment_variables", ())},
            max_run_duration_seconds=max(1, round(seconds)) if seconds else None,
            framework_version=data.get("framework_version", ""),
            keras_metrics=data.get("keras_metrics", False),
            **self.distribution_of(data),
        )

    def shown_spec(self) -> RunSpec:
        """What stands in the form about source and packages, checked or not."""
        return RunSpec(
            entry_script=str(self["entry_script"].value() or ""),
            environment_definition=str(self["environment_definition"].value() or ""),
            compute_target=str(self["compute_target"].value() or ""),
            framework_version=str(self["framework_version"].value() or ""),
            pip_packages=package_lines(str(self["pip_packages"].value() or "")),
            pip_requirements_file=str(self["pip_requirements_file"].value() or ""),
            conda_packages=package_lines(str(self["conda_packages"].value() or "")),
            conda_channels=channel_names(str(self["conda_channels"].value() or "")),
            conda_dependencies_file=str(self["conda_dependencies_file"].value() or ""),
            legacy_keras=bool(self["legacy_keras"].value()),
            use_gpu=bool(self["use_gpu"].value()),
            distributed_backend=str(self["distributed_backend"].value() or "") or None,
        )

    def labels(self) -> dict[str, Any]:
        """What the run is called: the experiment's name, the run's own, tags and notes."""
        data = self.cleaned_data
        return {
            "experiment_name": data.get("experiment", ""),
            "name": data.get("name", ""),
            "tags": [tag.strip() for tag in data.get("tags", "").split(",") if tag.strip()],
            "notes": as_typed(data.get("notes", "")),
        }

    def clean_environment_variables(self) -> list[Row]:
        """The variables; a secret of the cloned run that was left empty, and a name given twice, are refused."""
        rows = self.cleaned_data["environment_variables"]
        names = [row.name for row in rows]
        secrets = self.clone.spec.environment_variables if self.clone else {}
        for row in rows:
            if not row.value and secrets.get(row.name) == MASK:
                message = (
                    f"{row.name} was a secret of {self.clone}, which is not copied. Type it again, or remove the row."
                )
                self.add_error("environment_variables", message)
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            self.add_error("environment_variables", f"The variable {name!r} is given twice; keep one.")
        return rows

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Puts each problem beside its field, except where the form could not read the field at all and said so."""
        unread = self.fields.keys() - self.cleaned_data.keys()
        for problem in problems:
            field = _FIELD_OF.get(problem.field, problem.field)
            if field not in unread:
                self.add_error(field if field in self.fields else None, in_form_words(problem.message))

    # ---- what the page shows

    @property
    def secret_names(self) -> str:
        """The pattern of names whose values are masked while they are typed."""
        return SECRET_NAME.pattern

    @property
    def own_experiments(self) -> list[str]:
        """The names of the person's experiments."""
        return list(Experiment.objects.filter(owner=self.user).values_list("name", flat=True)[:200])

    @property
    def package_count(self) -> int:
        """How many packages are named, pip's and conda's."""
        return sum(len(package_lines(self[name].value() or "")) for name in ("pip_packages", "conda_packages"))

    @property
    def shown_files(self) -> str:
        """The files that name packages."""
        names = (self[name].value() for name in ("pip_requirements_file", "conda_dependencies_file"))
        return ", ".join(filter(None, names))

    @property
    def has_conda(self) -> bool:
        """Whether conda's fields hold anything."""
        return any(self[name].value() for name in ("conda_packages", "conda_channels", "conda_dependencies_file"))

    @property
    def offers_definitions(self) -> bool:
        """Whether there is a named environment to choose, or one was asked for."""
        return len(self.fields["environment_definition"].widget.choices) > 1

    @property
    def shown_definition(self) -> str:
        """The chosen named environment; a dash for none."""
        return str(self["environment_definition"].value() or "\N{EN DASH}")

    @property
    def shown_version(self) -> str:
        """The chosen TensorFlow version in the words of its option."""
        chosen = self["framework_version"].value() or ""
        return next((label for value, label in self._version_choices() if value == chosen), chosen)

    @property
    def parameter_rows(self) -> list[Row]:
        return self._rows("script_params")

    @property
    def variable_rows(self) -> list[Row]:
        return self._rows("environment_variables")

    @property
    def command(self) -> str:
        """The command line as a shell would want it: quoted, a parameter a line."""
        rows = [row for row in self.parameter_rows if not row.is_blank]
        script = str(self["entry_script"].value() or "")
        words = [RunSpec(script_params=((row.name, row.value),)).argv for row in rows]
        return " \\\n    ".join(shlex.join(line) for line in [("python", script), *words])

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """Every problem as (id of its field, the field's label, what is wrong), in the order of the page."""
        found = []
        for name, messages in self.errors.items():
            field = self[name] if name in self.fields else None
            label = str(field.label) if field else ""
            found += [(f"id_{name}" if field else "", label, str(message)) for message in messages]
        order = {f"id_{name}": index for index, name in enumerate(self.fields)}
        return sorted(found, key=lambda failure: order.get(failure[0], -1))

    def keep_upload(self, upload: Upload) -> None:
        """Has the page send ``upload`` again in place of the file that came with this request."""
        data = MultiValueDict(self.data)
        data["upload"] = str(upload.pk)
        self.data = data

    def add_rows(self, name: str) -> None:
        """More empty rows for the field ``name``, for browsers without scripts."""
        if name in self.extra_rows:
            self.extra_rows[name] = _MORE_ROWS

    def _rows(self, name: str) -> list[Row]:
        rows = [row for row in self[name].value() or () if not row.is_blank]
        blank = self.extra_rows[name] or (1 if rows else _BLANK_ROWS)
        return [*rows, *[Row()] * blank]

    def _sources(self) -> list[tuple[str, str]]:
        choices = [(UPLOAD, "Upload")]
        if self.clone is not None:
            choices.insert(0, (CLONE, f"The same source as {self.clone}"))
        if self.user.is_staff:
            choices.append((SERVER_PATH, "A folder on the server"))
        return choices

    def _definition_choices(self) -> list[Any]:
        """None, then by name the newest version (whatever it is by then) and each of the last ones."""
        named = named_environments_visible_to(self.user).filter(archived_at=None)
        choices: list[Any] = [("", "None: packages of its own")]
        known = {""}
        numbered = Prefetch("versions", queryset=NamedEnvironmentVersion.objects.defer("content"))
        for each in named.prefetch_related(numbered)[:_MOST_NAMES]:
            numbers = [version.number for version in each.versions.all()][:_MOST_VERSIONS]
            options = [(each.name, f"{each.name} (newest: version {numbers[0]})")]
            options += [(f"{each.name}@{number}", f"{each.name}, version {number}") for number in numbers]
            choices.append((each.name, options))
            known |= {value for value, _ in options}
        asked = self["environment_definition"].value() or ""
        if asked not in known:
            choices.append((asked, f"{asked} (not among the last ones)"))
        return choices

    def _version_choices(self) -> list[tuple[str, str]]:
        target = next((target for target in self.targets if target.name == self["compute_target"].value()), None)
        newest = None if target is None else newest_remembered(backend_of(target))
        shown = f"Newest ({newest.release.version})" if newest else "Newest"
        choices = [("", shown), *((version, version) for version in self.versions)]
        asked = self["framework_version"].value()
        if asked and asked not in self.versions:
            choices.append((asked, f"{asked} (not on offer)"))
        return choices


def channel_names(text: str) -> tuple[str, ...]:
    """The channels of a text, separated by commas or blanks."""
    return tuple(text.replace(",", " ").split())


def package_lines(text: str) -> tuple[str, ...]:
    """The packages of a text, one a line; blank lines and comments are passed over."""
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
