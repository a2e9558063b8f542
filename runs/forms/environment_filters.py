"""The filters of the environment list, kept in the page's address."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from runs.models import Environment
from runs.states import EnvironmentState

#: Of what is searched for; SQLite takes no pattern of more than 50,000 bytes.
_MOST_CHARACTERS = 200
_MOST_WORDS = 10


class EnvironmentFilter(django_filters.FilterSet):
    """Words and state. An unknown state finds nothing rather than everything."""

    q = django_filters.CharFilter(
        label="Search",
        method="with_words",
        widget=forms.TextInput(
            attrs={"type": "search", "class": "form-control", "placeholder": "Package, such as pandas==2"},
        ),
    )
    state = django_filters.ChoiceFilter(
        label="State",
        choices=EnvironmentState.choices,
        empty_label="Any state",
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    class Meta:
        model = Environment
        fields = ["q", "state"]

    def filter_queryset(self, queryset: QuerySet[Environment]) -> QuerySet[Environment]:
        """The environments that fit; none when a filter has a value that it does not offer."""
        return queryset.none() if self.errors else super().filter_queryset(queryset)

    @property
    def is_narrow(self) -> bool:
        """Whether anything is asked for, so that an empty list may mean that nothing fits."""
        return any(self.data.get(name) for name in self.filters)

    def with_words(self, environments: QuerySet[Environment], name: str, words: str) -> QuerySet[Environment]:
        """Environments in which each of the words occurs: among the packages, asked for or installed, in the Python's
        version, or at the beginning of the digest."""
        environments = environments.annotate(spec_text=Cast("spec", TextField()))
        for word in words[:_MOST_CHARACTERS].split()[:_MOST_WORDS]:
            environments = environments.filter(
                Q(spec_text__icontains=word)
                | Q(lock__icontains=word)
                | Q(python_version__startswith=word)
                | Q(digest__startswith=word)
            )
        return environments
