"""What administrators change of runs' surroundings: the TensorFlow versions on offer."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin

from runs.environments.catalogue import is_shipped, shipped
from runs.forms.framework import FrameworkVersionForm
from runs.models import FrameworkVersion


@admin.register(FrameworkVersion)
class FrameworkVersionAdmin(SimpleHistoryAdmin, ModelAdmin):
    """Switches shipped versions off and adds others. Deleting a row brings back what is shipped."""

    form = FrameworkVersionForm
    list_display = ("version", "is_offered", "comes_from", "pythons")
    list_filter = ("is_offered",)
    search_fields = ("version",)
    fieldsets = (
        (None, {"fields": ("version", "is_offered")}),
        (
            "Only for a version that does not come with Trainhouse",
            {"fields": ("pythons", "keras", "added", "horovod_as", "limits")},
        ),
    )
    actions = ("versions_offer", "versions_withdraw")

    @admin.display(description="Comes from")
    def comes_from(self, row: FrameworkVersion) -> str:
        return "Trainhouse" if is_shipped(row.version) else "an administrator"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        """A shipped version that is opened for the first time is there to be switched off."""
        version = request.GET.get("version", "")
        is_known = version in {release.version for release in shipped()}
        return {"version": version, "is_offered": "" if is_known else "on"}

    @admin.action(description="Offer for new runs", permissions=["change"])
    def versions_offer(self, request: HttpRequest, rows: QuerySet[FrameworkVersion]) -> None:
        self._set_offered(request, rows, is_offered=True)

    @admin.action(description="Switch off for new runs", permissions=["change"])
    def versions_withdraw(self, request: HttpRequest, rows: QuerySet[FrameworkVersion]) -> None:
        self._set_offered(request, rows, is_offered=False)

    def _set_offered(self, request: HttpRequest, rows: QuerySet[FrameworkVersion], *, is_offered: bool) -> None:
        """Each change with its line in the history."""
        changed = list(rows.exclude(is_offered=is_offered))
        for row in changed:
            row.is_offered = is_offered
            row.save(update_fields=["is_offered"])
        names = ", ".join(map(str, changed)) or "nothing"
        self.message_user(request, f"{'Offered' if is_offered else 'Switched off'}: {names}.")
