"""Running a run again, exactly or with updated packages."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from runs.errors import SpecProblems, UserError
from runs.forms.rows import as_typed
from runs.models import Run
from runs.permissions import runs_visible_to
from runs.services import exactly_problem, run_again, secrets_to_ask
from runs.states import Again
from runs.views.requests import PageRequest

_MOST_KEY_CHARACTERS = 40


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def run_again_page(request: PageRequest, pk: int) -> HttpResponse:
    """Says what both ways do, and asks for secrets that are not the person's own; submits on POST. The same page
    posted twice gives the same run."""
    runs = runs_visible_to(request.user).select_related("experiment", "owner", "snapshot", "target", "environment")
    run = runs.filter(pk=pk).first()
    if run is None or not request.user.has_perm("runs.change_run", run):
        raise Http404(f"There is no run {pk} that you may run again.")
    if request.method != "POST":
        return _page(request, run, key=str(uuid.uuid4()))
    key = request.POST.get("submission_key", "")[:_MOST_KEY_CHARACTERS] or str(uuid.uuid4())
    if request.POST.get("how") not in Again.values:
        return _page(request, run, key=key, problems=["Choose how to run it again."], status=422)
    try:
        new = run_again(
            run,
            how=Again(request.POST["how"]),
            actor=request.user,
            submission_key=key,
            secrets={name: as_typed(request.POST.get(f"secret.{name}", "")) for name in _asked(request, run)},
        )
    except SpecProblems as refusal:
        return _page(request, run, key=key, problems=[each.message for each in refusal.problems], status=422)
    except UserError as refusal:
        return _page(request, run, key=key, problems=[str(refusal)], status=422)
    return redirect(new)


def _page(request: PageRequest, run: Run, *, key: str, problems: list[str] | None = None, status: int = 200) -> Any:
    context = {
        "run": run,
        "submission_key": key,
        "problems": problems or [],
        "obstacle": exactly_problem(run),
        "secrets": _asked(request, run),
    }
    return render(request, "runs/again.html", context, status=status)


def _asked(request: PageRequest, run: Run) -> list[str]:
    return secrets_to_ask(run, request.user)
