"""The pages of environments: the list, one of them, what administrators do to one, the frameworks on offer."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from runs.environments import environment_delete, revision_before, revision_newest, runs_unfinished
from runs.environments.advice import conda_advice
from runs.environments.catalogue import known, newest_offered, releases
from runs.environments.difference import difference
from runs.errors import NotNow
from runs.forms.environment_filters import EnvironmentFilter
from runs.models import Environment, FrameworkVersion
from runs.permissions import is_administrator
from runs.selectors.definitions import named_versions_of
from runs.selectors.environment import environment_progress, lock_listed
from runs.selectors.environments import (
    build_stream,
    comparable,
    condition_of,
    disk_use,
    environment_for,
    environment_title,
    environments_listed,
    package_origin,
    runs_of,
)
from runs.selectors.logs import plain
from runs.services import environment_rebuild, environment_update_order
from runs.stores.logs import log_tail
from runs.tables import EnvironmentTable
from runs.views.requests import PageRequest

ENVIRONMENTS_A_PAGE = 25
RUNS_SHOWN = 20
LINES_SHOWN = 500


@login_required
@require_GET
def environment_list(request: PageRequest) -> HttpResponse:
    """The environments that the person may see; for htmx the table alone."""
    filters = EnvironmentFilter(request.GET, queryset=environments_listed(request.user))
    table = EnvironmentTable(filters.qs)
    if "sort" in request.GET:
        table.order_by = request.GET.getlist("sort")
    table.paginate(per_page=ENVIRONMENTS_A_PAGE)
    table.page = table.paginator.get_page(request.GET.get("page"))
    context = {
        "table": table,
        "filters": filters,
        "is_live": any(condition_of(row.record).is_moving for row in table.page.object_list),
        "disk": disk_use() if is_administrator(request.user) else None,
        "packages": package_origin() if is_administrator(request.user) else None,
    }
    is_fragment = request.htmx and not request.htmx.history_restore_request
    response = render(request, "environments/_list.html" if is_fragment else "environments/list.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@login_required
@require_GET
def environment(request: PageRequest, environment_id: int) -> HttpResponse:
    """One environment. For htmx what moves while it is built; once nothing moves, the whole page is asked for."""
    found = environment_for(request.user, environment_id)
    condition = condition_of(found)
    context: dict[str, Any] = {
        "environment": found,
        "title": environment_title(found),
        "condition": condition,
        "build": environment_progress(found) if condition.is_moving else None,
        "log": _log(found),
    }
    if request.htmx:
        response = render(request, "environments/_now.html", context)
        if not condition.is_moving:
            response["HX-Refresh"] = "true"
    else:
        response = render(request, "environments/environment.html", {**context, **_still(request, found)})
    patch_vary_headers(response, ["HX-Request"])
    return response


@login_required
@require_GET
def frameworks(request: PageRequest) -> HttpResponse:
    """The TensorFlow versions on offer; administrators see those that are switched off too."""
    may_change = request.user.has_perm("runs.change_frameworkversion")
    changed = {row.version: row.pk for row in FrameworkVersion.objects.all()} if may_change else {}
    rows = [(release, changed.get(release.version)) for release in (known() if may_change else releases())]
    context = {"rows": rows, "newest": newest_offered(), "may_change": may_change}
    return render(request, "environments/frameworks.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PageRequest, environment_id: int) -> HttpResponse:
    """Asks first, deletes on POST. Refuses while a run needs the environment."""
    found = _to_change(request, environment_id)
    if request.method != "POST":
        context = {"environment": found, "title": environment_title(found), "needing": runs_unfinished([found])}
        return render(request, "environments/delete.html", {**context, "run_count": found.runs.count()})
    name = environment_title(found).name
    try:
        environment_delete(found)
    except NotNow as refusal:
        messages.error(request, str(refusal))
        return redirect(found)
    messages.success(request, f"{name} is deleted.")
    return redirect("environments")


@login_required
@require_POST
def rebuild(request: PageRequest, environment_id: int) -> HttpResponse:
    """Orders a build of an environment that is not there."""
    found = _to_change(request, environment_id)
    try:
        environment_rebuild(found)
    except NotNow as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "The build is ordered and begins as soon as a builder is free.")
    return redirect(found)


@login_required
@require_POST
def update(request: PageRequest, environment_id: int) -> HttpResponse:
    """Orders the same wishes, resolved anew. Whoever sees an environment may: its runs can ask for the same."""
    found = environment_for(request.user, environment_id)
    updated = environment_update_order(found)
    messages.success(request, "The packages are being resolved anew. New runs take the result once it is built.")
    return redirect(updated)


def _to_change(request: PageRequest, environment_id: int) -> Environment:
    """The environment, for administrators alone. Raises Http404."""
    if not request.user.has_perm("runs.change_environment"):
        raise Http404(f"There is no environment {environment_id} that you may change.")
    return environment_for(request.user, environment_id)


def _still(request: PageRequest, found: Environment) -> dict[str, Any]:
    """What does not move while the environment is built."""
    runs = runs_of(found, request.user)
    others = comparable(found, request.user) if found.lock else []
    before = revision_before(found)
    asked = request.GET.get("compare", str(before.pk) if before else "")
    other = next((each for each in others if str(each.pk) == asked), None)
    return {
        "may_change": request.user.has_perm("runs.change_environment"),
        "packages": lock_listed(found.lock),
        "runs": runs[:RUNS_SHOWN],
        "run_count": runs.count(),
        "named_versions": named_versions_of(found, request.user),
        "before": before,
        "newest": revision_newest(found),
        "others": [(each, environment_title(each)) for each in others],
        "other": other,
        "changes": difference(other.lock, found.lock) if other else [],
        "conda_advice": conda_advice(found.spec),
    }


def _log(found: Environment) -> dict[str, Any] | None:
    """The last lines of what the builds said."""
    stream = build_stream(found)
    if stream is None:
        return None
    page = log_tail(stream.pk, count=LINES_SHOWN)
    lines = [plain(line) for line in [*page.lines, *([page.tail] if page.tail else [])]]
    return {"text": "\n".join(lines), "shown": len(page.lines), "total": page.total_lines, "first": page.first_line}
