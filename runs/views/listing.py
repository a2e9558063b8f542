"""The run list."""

from __future__ import annotations

from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from runs.forms.filters import RunFilter
from runs.permissions import runs_visible_to
from runs.selectors.tasks import on_simulated_gpus
from runs.tables import RunTable
from runs.views.requests import PageRequest

RUNS_A_PAGE = 25


def run_list(request: PageRequest) -> HttpResponse:
    """The runs that the person may see; for htmx the table alone."""
    runs = (
        runs_visible_to(request.user)
        .select_related("experiment", "target", "owner")
        .annotate(trains_on_cpu=Exists(on_simulated_gpus(OuterRef("pk"))))
        .defer(
            "spec_json",
            "lock",
            "environment_spec",
            "notes",
            "launch_request",
            "target__config",
            "experiment__description",
        )
    )
    filters = RunFilter(request.GET, queryset=runs, user=request.user)
    table = RunTable(filters.qs, exclude=() if request.user.is_staff else ("owner",))
    if "sort" in request.GET:
        table.order_by = request.GET.getlist("sort")
    table.paginate(per_page=RUNS_A_PAGE)
    table.page = table.paginator.get_page(request.GET.get("page"))
    context = {
        "table": table,
        "filters": filters,
        "is_live": any(row.record.is_active for row in table.page.object_list),
    }
    is_fragment = request.htmx and not request.htmx.history_restore_request
    response = render(request, "runs/_list.html" if is_fragment else "runs/list.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response
