"""Cancelling a run."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from runs.errors import NotNow
from runs.permissions import runs_visible_to
from runs.services import run_cancel as cancel
from runs.views.requests import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
def run_cancel(request: PageRequest, pk: int) -> HttpResponse:
    """Asks first (the page for browsers without scripts), cancels on POST, and goes back to where it was asked."""
    run = runs_visible_to(request.user).select_related("experiment").filter(pk=pk).first()
    if run is None or not request.user.has_perm("runs.change_run", run):
        raise Http404(f"There is no run {pk} that you may cancel.")
    if request.method != "POST":
        return render(request, "runs/cancel.html", {"run": run})
    try:
        cancel(run, actor=request.user)
    except NotNow as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"{run.title} is being cancelled.")
    back = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return redirect(back)
    return redirect(run)
