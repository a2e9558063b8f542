"""The form of a new run, and the answers it asks for while it is filled in."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from runs.errors import SpecProblems
from runs.forms.answers import answers_of, first_answers
from runs.forms.distribution import FIELDS, DistributionFields, as_counts, in_form_words
from runs.forms.source import Source, source_known, source_of_run, source_take
from runs.forms.submit import SubmitForm
from runs.models import Run
from runs.permissions import runs_visible_to, targets_for
from runs.selectors.definitions import definition_words
from runs.selectors.layout import layout_of
from runs.services import (
    PACKAGE_PROBLEMS,
    PackageCheck,
    count_problems,
    definition_find,
    package_check,
    package_check_again,
    package_problems,
    run_submit,
    submission_advice,
    submission_problems,
)
from runs.spec import RunSpec
from runs.views.place import preflight
from runs.views.requests import PageRequest

#: A check that was forgotten is begun anew after a while, so that two windows of one person do not chase each other.
CHECK_ANEW_AFTER_MS = 2000

#: What decides the packages; while one of these cannot be read, nothing is said of them.
PACKAGE_FIELDS = frozenset({"framework_version", "compute_target", *PACKAGE_PROBLEMS})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def run_new(request: PageRequest) -> HttpResponse:
    """The form; with ``?clone=<id>`` it holds that run's answers, with ``?environment=<name>`` a named environment. The
    same form posted twice gives the same run."""
    if request.method == "POST":
        return _posted(request)
    clone = _clone(request, request.GET.get("clone"))
    if clone is None:
        chosen = {"environment_definition": request.GET.get("environment", "")[:80]}
        return _page(request, SubmitForm(user=request.user, initial=first_answers(request.user) | chosen), source=None)
    form = SubmitForm(user=request.user, clone=clone, initial=answers_of(clone))
    return _page(request, form, source=source_of_run(clone))


@require_GET
def run_place(request: PageRequest) -> HttpResponse:
    """What the chosen target has free, and where the tasks would go, as fragments."""
    counts = DistributionFields(request.GET)
    counts.is_valid()
    spec = RunSpec(
        compute_target=request.GET.get("compute_target", ""),
        use_gpu="use_gpu" in request.GET,
        entry_script=request.GET.get("entry_script", ""),
        **DistributionFields.distribution_of(counts.cleaned_data),
    )
    return render(request, "runs/_place_answer.html", {**_place(request, spec), "is_answer": True})


@require_POST
def run_packages(request: PageRequest) -> HttpResponse:
    """What is wrong with the packages as they stand, and what is worth knowing of them, as fragments."""
    form = SubmitForm(request.POST, user=request.user, clone=_clone(request, request.POST.get("cloned_from")))
    form.is_valid()
    source = source_known(form, user=request.user)
    spec, snapshot = form.spec(), source.snapshot if source else None
    definition, unknown = definition_find(spec.environment_definition, request.user)
    found = [*package_problems(spec, snapshot=snapshot, definition=definition), *([unknown] if unknown else [])]
    context = {
        "definition": definition,
        "words": definition_words(definition) if definition else "",
        "definition_errors": [problem.message for problem in found if problem.field == "environment_definition"],
        "wrong": {name: [each.message for each in found if each.field == name] for name in PACKAGE_PROBLEMS},
        "advice": submission_advice(spec, snapshot=snapshot, definition=definition),
        "check": PackageCheck(state="none") if found else None,
        "is_answer": True,
    }
    return render(request, "runs/_packages_answer.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
def run_check(request: PageRequest) -> HttpResponse:
    """What the index says of the packages, as a fragment that asks again until there is an answer. POST begins with
    the form, GET asks for the environment ``digest``; one that nobody knows of any more begins with the form again."""
    if request.method == "GET":
        check = package_check_again(request.GET.get("digest", ""))
        return render(request, "runs/_package_check.html", {"check": check, "delay_ms": CHECK_ANEW_AFTER_MS})
    form = SubmitForm(request.POST, user=request.user, clone=_clone(request, request.POST.get("cloned_from")))
    form.is_valid()
    source = source_known(form, user=request.user)
    if form.errors.keys() & PACKAGE_FIELDS:
        check = PackageCheck(state="none")
    else:
        spec, snapshot = form.spec(), source.snapshot if source else None
        definition, _ = definition_find(spec.environment_definition, request.user)
        check = package_check(spec, user=request.user, snapshot=snapshot, definition=definition)
    return render(request, "runs/_package_check.html", {"check": check})


def _posted(request: PageRequest) -> HttpResponse:
    clone = _clone(request, request.POST.get("cloned_from"))
    form = SubmitForm(request.POST, request.FILES, user=request.user, clone=clone)
    form.is_valid()
    source = source_take(form, user=request.user)
    if "add" in request.POST:
        form.errors.clear()
        form.add_rows(request.POST["add"])
        return _page(request, form, source=source)
    spec, labels = form.spec(), form.labels()
    if form.errors or source is None:
        found = submission_problems(spec, user=request.user, snapshot=source.snapshot if source else None, **labels)
        form.add_problems(problem for problem in found if not (problem.field == "source" and _is_refused(form)))
        return _page(request, form, source=source, status=422)
    try:
        run = run_submit(
            owner=request.user,
            spec=spec,
            snapshot=source.snapshot,
            submission_key=form.cleaned_data["submission_key"],
            cloned_from=clone,
            **labels,
        )
    except SpecProblems as refusal:
        form.add_problems(refusal.problems)
        return _page(request, form, source=source, status=422)
    return redirect(run)


def _page(request: PageRequest, form: SubmitForm, *, source: Source | None, status: int = 200) -> HttpResponse:
    if source is not None and source.upload is not None:
        form.keep_upload(source.upload)
    counts = {name: form[name].value() for name in ("distributed_backend", *FIELDS)}
    spec = RunSpec(
        compute_target=form["compute_target"].value() or "",
        use_gpu=bool(form["use_gpu"].value()),
        entry_script=str(form["entry_script"].value() or ""),
        **DistributionFields.distribution_of(as_counts(counts)),
    )
    shown = form.shown_spec()
    definition, _ = definition_find(shown.environment_definition, request.user)
    context: dict[str, Any] = {
        "form": form,
        "source": source,
        "definition": definition,
        "words": definition_words(definition) if definition else "",
        "definition_errors": form["environment_definition"].errors,
        **_place(request, spec),
        "advice": submission_advice(shown, snapshot=source.snapshot if source else None, definition=definition),
    }
    return render(request, "runs/new.html", context, status=status)


def _place(request: PageRequest, spec: RunSpec) -> dict[str, Any]:
    """What the form says of the target and of the tasks on it."""
    found = count_problems(spec)
    target = next((target for target in targets_for(request.user) if target.name == spec.compute_target), None)
    if target is None or found:
        said = [in_form_words(problem.message) for problem in found]
        return {"preflight": None, "layout": None, "count_problems": said}
    return {"preflight": preflight(target, spec), "layout": layout_of(spec, target), "count_problems": []}


def _clone(request: PageRequest, text: str | None) -> Run | None:
    """The run to start from; None when none is named. Raises Http404 for one that the person may not see."""
    if not text:
        return None
    runs = runs_visible_to(request.user).select_related("experiment", "snapshot")
    run = runs.filter(pk=int(text)).first() if text.isascii() and text.isdigit() and len(text) < 18 else None
    if run is None:
        raise Http404(f"There is no run {text!r} that you may clone.")
    return run


def _is_refused(form: SubmitForm) -> bool:
    """Whether the source is missing because it was refused, which is said already."""
    return bool(form.errors.keys() & {"archive", "server_path"})
