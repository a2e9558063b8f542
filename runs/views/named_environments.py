"""The pages of named environments: the list, one of them, its form, and what is done to one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from compute.errors import TargetUnreachable
from compute.models import ComputeTarget
from compute.registry import target_gpus_per_node
from runs.errors import NotNow, SpecProblems, UserError
from runs.forms.definition import DefinitionForm, definition_answers, definition_of_run
from runs.models import NamedEnvironment, NamedEnvironmentVersion, Run
from runs.permissions import named_environments_visible_to, runs_visible_to, targets_for
from runs.selectors.definitions import (
    built_of,
    content_changes,
    definition_words,
    named_environment_for,
    newest_versions,
)
from runs.services import definition_problems, named_archive, named_build, named_create, named_delete, named_edit
from runs.views.requests import PageRequest

NAMES_A_PAGE = 50
MOST_VERSIONS = 100


@login_required
@require_GET
def named_list(request: PageRequest) -> HttpResponse:
    """Those that the person may use; with ``?archived=1`` those that were put away."""
    is_archive = request.GET.get("archived") == "1"
    visible = named_environments_visible_to(request.user)
    found = newest_versions(visible.filter(archived_at__isnull=not is_archive))
    page = Paginator(found, NAMES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(version, definition_words(version.definition)) for version in page.object_list],
        "is_archive": is_archive,
        "archived_count": visible.exclude(archived_at=None).count(),
    }
    return render(request, "environments/named/list.html", context)


@login_required
@require_GET
def named(request: PageRequest, named_id: int) -> HttpResponse:
    """One version, by ``?version=``, otherwise the newest, with what changed before it and what is built of it."""
    found = named_environment_for(request.user, named_id)
    versions = list(found.versions.select_related("created_by").defer("content")[:MOST_VERSIONS])
    shown = _version(found, request.GET.get("version", ""))
    before = found.versions.filter(number__lt=shown.number).first()
    built = built_of(found)
    context = {
        "named": found,
        "versions": versions,
        "shown": shown,
        "definition": shown.definition,
        "words": definition_words(shown.definition),
        "before": before,
        "changes": content_changes(before.definition, shown.definition) if before else [],
        "built": built,
        "is_live": any(each.condition.is_moving for each in built),
        "targets": [(each, max(target_gpus_per_node(each), default=0)) for each in targets_for(request.user)],
        "may_change": request.user.has_perm("runs.change_named_environment", found),
    }
    is_fragment = request.htmx and not request.htmx.history_restore_request
    response = render(request, f"environments/named/{'_built' if is_fragment else 'one'}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def named_new(request: PageRequest) -> HttpResponse:
    """The form of a new one; with ``?run=<id>`` it holds what that run asked for."""
    if request.method != "POST":
        run = _run(request)
        initial = definition_answers(definition_of_run(run)) | {"name": ""} if run else {}
        return _form(request, DefinitionForm(initial=initial), run=run)
    form = DefinitionForm(request.POST)
    if not _is_complete(request, form):
        return _form(request, form, status=200 if "add" in request.POST else 422)
    data = form.cleaned_data
    try:
        made = named_create(
            owner=request.user,
            definition=form.definition(),
            description=data["description"],
            is_shared=data["is_shared"],
            note=data["note"],
        )
    except SpecProblems as refusal:
        form.add_problems(refusal.problems)
        return _form(request, form, status=422)
    messages.success(request, f"{made} is saved. Runs can name it now.")
    return redirect(made)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def named_change(request: PageRequest, named_id: int) -> HttpResponse:
    """The form of the next version. One that began from an older version than the newest is refused, and kept."""
    found = _to_change(request, named_id)
    if request.method != "POST":
        newest = found.versions.latest("number")
        answers = definition_answers(newest.definition, number=newest.number)
        answers |= {"description": found.description, "is_shared": found.is_shared}
        return _form(request, DefinitionForm(named=found, initial=answers))
    form = DefinitionForm(request.POST, named=found)
    if not _is_complete(request, form):
        return _form(request, form, status=200 if "add" in request.POST else 422)
    data = form.cleaned_data
    before = found.versions.latest("number").number
    try:
        version = named_edit(
            found,
            actor=request.user,
            base=data["base"] or 0,
            definition=form.definition(),
            description=data["description"],
            is_shared=data["is_shared"],
            note=data["note"],
        )
    except NotNow as refusal:
        form.add_error(None, str(refusal))
        form.begin_from(found.versions.latest("number").number)
        return _form(request, form, status=409)
    is_new = version.number > before
    messages.success(request, f"Version {version.number} is saved." if is_new else "Saved. The content is unchanged.")
    return redirect(found)


@login_required
@require_POST
def archive(request: PageRequest, named_id: int) -> HttpResponse:
    """Puts it out of the choice for new runs, or back."""
    found = _to_change(request, named_id)
    is_archived = request.POST.get("archived") == "1"
    named_archive(found, is_archived=is_archived)
    words = "is archived: new runs cannot choose it" if is_archived else "can be chosen again"
    messages.success(request, f"{found} {words}.")
    return redirect(found)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PageRequest, named_id: int) -> HttpResponse:
    """Asks first, deletes on POST."""
    found = _to_change(request, named_id)
    if request.method != "POST":
        run_count = Run.objects.filter(definition_json__name=found.name).count()
        context = {"named": found, "version_count": found.versions.count(), "run_count": run_count}
        return render(request, "environments/named/delete.html", context)
    named_delete(found)
    messages.success(request, f"{found} is deleted.")
    return redirect("named-environments")


@login_required
@require_POST
def build(request: PageRequest, named_id: int) -> HttpResponse:
    """Orders the environment of a version ahead of any run, and shows its build."""
    found = named_environment_for(request.user, named_id)
    version = _version(found, request.POST.get("version", ""))
    target = _target(request)
    try:
        environment = named_build(version, target=target, gpu="use_gpu" in request.POST)
    except (UserError, TargetUnreachable) as refusal:
        messages.error(request, str(refusal))
        return redirect(found)
    return redirect(environment)


def _form(request: PageRequest, form: DefinitionForm, *, run: Run | None = None, status: int = 200) -> HttpResponse:
    newest = form.named.versions.latest("number") if form.named else None
    context = {"form": form, "named": form.named, "newest": newest, "run": run}
    return render(request, "environments/named/form.html", context, status=status)


def _is_complete(request: PageRequest, form: DefinitionForm) -> bool:
    """Whether everything typed can be saved. Asking for more rows is asking for nothing else."""
    form.is_valid()
    if "add" in request.POST:
        form.errors.clear()
        form.extra_rows = 3
        return False
    form.add_problems(definition_problems(form.definition()))
    return not form.errors


def _to_change(request: PageRequest, named_id: int) -> NamedEnvironment:
    """The named environment, for those who may change it. Raises Http404."""
    found = named_environment_for(request.user, named_id)
    if not request.user.has_perm("runs.change_named_environment", found):
        raise Http404(f"There is no named environment {named_id} that you may change.")
    return found


def _run(request: PageRequest) -> Run | None:
    """The run to start from; None when none is named. Raises Http404 for one that the person may not see."""
    text = request.GET.get("run", "")
    if not text:
        return None
    runs: Any = runs_visible_to(request.user).select_related("experiment", "snapshot")
    run = runs.filter(pk=int(text)).first() if text.isascii() and text.isdigit() and len(text) < 18 else None
    if run is None:
        raise Http404(f"There is no run {text!r} that you may see.")
    return run


def _version(found: NamedEnvironment, text: str) -> NamedEnvironmentVersion:
    is_number = text.isascii() and text.isdigit() and len(text) < 9
    version = found.versions.filter(number=int(text)).first() if is_number else found.versions.first()
    if version is None:
        raise Http404(f"{found} has no version {text!r}.")
    return version


def _target(request: PageRequest) -> ComputeTarget:
    name = request.POST.get("target", "")
    allowed = targets_for(request.user)
    target = next((each for each in allowed if each.name == name), allowed[0] if allowed and not name else None)
    if target is None:
        raise Http404(f"There is no target {name!r} for you.")
    return target
