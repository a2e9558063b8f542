"""The administration's form of a TensorFlow version: switched off, or one that is not shipped."""

from __future__ import annotations

import re

from django import forms
from django.core.exceptions import ValidationError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from runs.environments.catalogue import is_shipped, shipped
from runs.models import FrameworkVersion

_PYTHON = re.compile(r"3\.\d{1,2}")

#: What a version of one's own says beside its number; a shipped one says it itself.
_DATA = ("pythons", "keras", "added", "horovod_as", "limits")


class FrameworkVersionForm(forms.ModelForm):
    """Checks a version whole. Runs that were made with one keep their environments whatever is changed here."""

    class Meta:
        model = FrameworkVersion
        fields = ("version", "is_offered", *_DATA)
        labels = {"keras": "Keras generation"}
        help_texts = {
            "version": "As the package index has it, such as 2.22.0.",
            "is_offered": "Untick it to take the version out of the form. Runs that have it go on.",
            "pythons": "The Python versions that it has wheels for, separated by commas: 3.11, 3.12.",
            "added": "Requirements that TensorFlow lacks and every run needs, one a line, such as tensorboard.",
            "horovod_as": "A shipped version whose Horovod recipe serves this one too. Empty: that of its own minor "
            "version, if there is one.",
            "limits": "What people should know, one sentence a line.",
        }

    def clean_version(self) -> str:
        text: str = self.cleaned_data["version"].strip()
        try:
            version = Version(text)
        except InvalidVersion as error:
            raise ValidationError(f"{text!r} is no version. Write it as the index has it, such as 2.22.0.") from error
        if version.local or str(version) != text or len(version.release) < 3:
            raise ValidationError(f"{text!r} is not how the index writes a release. Write all three parts: 2.22.0.")
        return text

    def clean_pythons(self) -> str:
        minors = [part.strip() for part in self.cleaned_data["pythons"].split(",") if part.strip()]
        for minor in minors:
            if not _PYTHON.fullmatch(minor):
                raise ValidationError(f"{minor!r} is no minor version of Python. Write it like 3.12.")
        return ", ".join(sorted(set(minors), key=lambda minor: int(minor.split(".")[1])))

    def clean_added(self) -> str:
        lines = [line.strip() for line in self.cleaned_data["added"].splitlines() if line.strip()]
        for line in lines:
            try:
                has_address = Requirement(line).url is not None
            except (InvalidRequirement, RecursionError) as error:
                raise ValidationError(f"{line!r} is no package requirement. Write it like tensorboard.") from error
            if has_address:
                raise ValidationError(f"{line!r} names an address. Name a package of the index.")
        return "\n".join(lines)

    def clean_horovod_as(self) -> str:
        version: str = self.cleaned_data["horovod_as"].strip()
        recipes = [release.version for release in shipped() if release.horovod]
        if version and version not in recipes:
            raise ValidationError(f"There is no Horovod recipe for {version!r}. Choose one of {', '.join(recipes)}.")
        return version

    def clean(self) -> dict[str, object]:
        data = super().clean() or self.cleaned_data
        version = data.get("version")
        if not version:
            return data
        if is_shipped(version):
            for name in _DATA:
                if data.get(name):
                    message = f"TensorFlow {version} is shipped, with all that is known of it. Leave this empty."
                    self.add_error(name, message)
            return data
        if not data.get("pythons") and "pythons" not in self.errors:
            self.add_error("pythons", f"Say which Pythons TensorFlow {version} has wheels for, such as 3.12.")
        if not data.get("keras") and "keras" not in self.errors:
            self.add_error("keras", f"Say which Keras tf.keras is in TensorFlow {version}.")
        return data
