"""The filters of the run list, kept in the page's address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import django_filters
from django import forms
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from runs.models import Experiment, Run
from runs.permissions import runs_visible_to
from runs.states import ACTIVE, RunState

if TYPE_CHECKING:
    from accounts.models import User

#: Of what is searched for; SQLite takes no pattern of more than 50,000 bytes.
_MOST_CHARACTERS = 200
_MOST_WORDS = 10

#: The value of the state filter that stands for every state before the end.
ANY_ACTIVE = "active"


class RunFilter(django_filters.FilterSet):
    """Words, state and experiment. An unknown state or experiment finds nothing rather than everything."""

    q = django_filters.CharFilter(
        label="Search",
        method="with_words",
        widget=forms.TextInput(
            attrs={"type": "search", "class": "form-control", "placeholder": "Name, tag or experiment"},
        ),
    )
    state = django_filters.ChoiceFilter(
        label="State",
        method="in_state",
        choices=[(ANY_ACTIVE, "Any active"), *RunState.choices],
        empty_label="Any state",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    experiment = django_filters.ModelChoiceFilter(
        label="Experiment",
        queryset=Experiment.objects.none(),
        empty_label="All experiments",
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    class Meta:
        model = Run
        fields = ["q", "state", "experiment"]

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.filters["experiment"].queryset = Experiment.objects.filter(
            pk__in=runs_visible_to(user).values("experiment")
        )

    def filter_queryset(self, queryset: QuerySet[Run]) -> QuerySet[Run]:
        """The runs that fit; none when a filter has a value that it does not offer."""
        return queryset.none() if self.errors else super().filter_queryset(queryset)

    @property
    def is_narrow(self) -> bool:
        """Whether anything is asked for, so that an empty list may mean that nothing fits."""
        return any(self.data.get(name) for name in self.filters)

    def with_words(self, runs: QuerySet[Run], name: str, words: str) -> QuerySet[Run]:
        """Runs in which each of the words occurs: in the name, a tag, or the experiment; ``#3`` is a run's number."""
        runs = runs.annotate(tags_text=Cast("tags", TextField()))
        for word in words[:_MOST_CHARACTERS].split()[:_MOST_WORDS]:
            # Tags are kept as JSON, in which SQLite holds letters beyond ASCII as escapes.
            escaped = json.dumps(word)[1:-1]
            found = (
                Q(name__icontains=word)
                | Q(experiment__name__icontains=word)
                | Q(tags_text__icontains=word)
                | Q(tags_text__icontains=escaped)
            )
            number = word.removeprefix("#")
            if number.isascii() and number.isdigit() and len(number) < 10:
                found |= Q(number=int(number))
            runs = runs.filter(found)
        return runs

    def in_state(self, runs: QuerySet[Run], name: str, state: str) -> QuerySet[Run]:
        return runs.filter(state__in=ACTIVE) if state == ANY_ACTIVE else runs.filter(state=state)
