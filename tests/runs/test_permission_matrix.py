"""Every address of the site, asked by everybody: it walks the resolver, so that a new address cannot be forgotten.

For each address: what a stranger, another member, the run's owner and an administrator get, by GET and by POST.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from runs.models import Artifact, Run, Upload
from runs.states import RunState
from runs.stores.logs import log_write
from tests.factories import (
    make_environment,
    make_named_environment,
    make_run,
    make_stream,
    make_target,
    make_task,
    make_user,
)

pytestmark = pytest.mark.django_db

PEOPLE = ("stranger", "member", "owner", "administrator")
METHODS = ("get", "post")

#: What becomes of a request: sent to the door (a redirect there or 401), refused as if there were nothing (404),
#: refused (403), the method is not for this address (405), or let in (anything else but a fault).
DOOR, ABSENT, REFUSED, METHOD, IN = "door", "absent", "refused", "method", "in"


@dataclass(frozen=True)
class Rule:
    """Who gets what; ``post`` None: the address is for reading."""

    member: str
    owner: str
    administrator: str
    stranger: str = DOOR
    post: "Rule | None" = None

    def expected(self, person: str, method: str) -> str:
        if method == "get" or self.post is None:
            outcome: str = getattr(self, person)
            return METHOD if method == "post" and outcome in (IN, ABSENT) else outcome
        return getattr(self.post, person)


EVERYBODY = Rule(stranger=IN, member=IN, owner=IN, administrator=IN)
PEOPLE_IN = Rule(member=IN, owner=IN, administrator=IN)
OF_A_RUN = Rule(member=ABSENT, owner=IN, administrator=IN)
OF_ADMINISTRATORS = Rule(member=ABSENT, owner=ABSENT, administrator=IN)
OF_AN_UPLOAD = Rule(member=ABSENT, owner=IN, administrator=ABSENT)
POSTED = Rule(member=METHOD, owner=METHOD, administrator=METHOD)


def with_post(rule: Rule, post: Rule | None = None) -> Rule:
    return Rule(
        stranger=rule.stranger,
        member=rule.member,
        owner=rule.owner,
        administrator=rule.administrator,
        post=post or rule,
    )


#: By the name of the address. One that is missing here fails the test: decide who may use it, and write it down.
RULES = {
    "home": with_post(PEOPLE_IN),
    "runs": with_post(PEOPLE_IN),
    "run-new": with_post(PEOPLE_IN),
    "run-new-place": PEOPLE_IN,
    "run-new-packages": with_post(POSTED, PEOPLE_IN),
    "run-new-check": with_post(PEOPLE_IN),
    "run-cancel": with_post(OF_A_RUN),
    "run-again": with_post(OF_A_RUN),
    **dict.fromkeys(["run", "run-metrics", "run-system", "run-logs", "run-files", "run-events"], OF_A_RUN),
    **dict.fromkeys(["run-series", "run-series-csv", "run-lines", "run-raw", "run-file"], OF_A_RUN),
    **dict.fromkeys(["environments", "frameworks"], PEOPLE_IN),
    **dict.fromkeys(["environment", "environment-log"], OF_A_RUN),
    **dict.fromkeys(["environment-requirements", "environment-conda", "environment-dockerfile"], OF_A_RUN),
    "environment-delete": with_post(OF_ADMINISTRATORS),
    "named-environments": PEOPLE_IN,
    "named-environment-new": with_post(PEOPLE_IN),
    "named-environment": OF_A_RUN,
    **dict.fromkeys(["named-environment-edit", "named-environment-delete"], with_post(OF_A_RUN)),
    **dict.fromkeys(["named-environment-archive", "named-environment-build"], with_post(POSTED, OF_A_RUN)),
    "environment-update": with_post(POSTED, OF_A_RUN),
    "environment-rebuild": with_post(POSTED, OF_ADMINISTRATORS),
    "upload-rules": PEOPLE_IN,
    "upload-begin": with_post(POSTED, PEOPLE_IN),
    "upload-zip": with_post(POSTED, PEOPLE_IN),
    "upload-files": with_post(POSTED, OF_AN_UPLOAD),
    "upload-finish": with_post(POSTED, OF_AN_UPLOAD),
    "healthz": EVERYBODY,
    "readyz": EVERYBODY,
    "signin-link": with_post(EVERYBODY),
    # Somebody signed in is sent on from the door to the list.
    **dict.fromkeys(["account_login", "account_signup"], with_post(EVERYBODY)),
    "account_logout": with_post(EVERYBODY),
    "account_inactive": EVERYBODY,
    "account_reset_password": EVERYBODY,
    **dict.fromkeys(
        ["account_reauthenticate", "account_change_password", "account_set_password"], with_post(PEOPLE_IN)
    ),
}


@pytest.fixture
def world(settings, monkeypatch):
    """A run of the owner's with everything that addresses name, and everybody's browser."""
    settings.ENV = settings.ENV.__class__(
        **{name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"members_may_use_local": True}
    )
    owner = make_user(username="owner")
    target = make_target(name="local")
    built = {"lock": "six==1.17.0\n", "python_version": "3.11.4", "spec": {"python": {"version": "3.11.4"}}}
    environment = make_environment(target, **built)
    monkeypatch.setattr("runs.views.named_environments.named_build", lambda *args, **kwargs: environment)
    monkeypatch.setattr("runs.views.named_environments.named_delete", lambda named: None)
    run = make_run(owner=owner, target=target, environment=environment, state=RunState.RUNNING)
    task = make_task(run)
    stream = make_stream(task)
    log_write(stream.pk, b"a line\n")
    kept = settings.DATA_DIR / "artifacts" / "kept"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"weights")
    artifact = Artifact.objects.create(
        run=run, task=task, path="outputs/m", size_bytes=7, modified_at=1.0, place="store", storage_key="kept"
    )
    upload = Upload.objects.create(owner=owner, name="source")
    values = {
        "pk": run.pk,
        "stream_id": stream.pk,
        "artifact_id": artifact.pk,
        "upload_id": upload.pk,
        "environment_id": environment.pk,
        "named_id": make_named_environment(owner).pk,
        "token": "no-such-link",
    }
    browsers = {person: Client() for person in PEOPLE}
    browsers["member"].force_login(make_user(username="other"))
    browsers["owner"].force_login(owner)
    browsers["administrator"].force_login(make_user(username="boss", is_staff=True))
    return values, browsers


def addresses(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    """Every address outside the administration."""
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLPattern):
            yield each
        elif each.namespace != "admin":
            yield from addresses(each)


def outcome(answer) -> str:
    """What became of a request, in the words above."""
    location = answer.headers.get("Location", "")
    if answer.status_code == 401 or location.startswith("/accounts/login/?next="):
        return DOOR
    return {403: REFUSED, 404: ABSENT, 405: METHOD}.get(answer.status_code, IN)


def test_every_address_has_a_rule_and_every_rule_an_address():
    assert {address.name for address in addresses()} == RULES.keys()


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("method", METHODS)
def test_everybody_gets_what_the_rule_says(world, name, method):
    values, browsers = world
    address = next(address for address in addresses() if address.name == name)
    path = reverse(name, kwargs={word: values[word] for word in address.pattern.converters})
    found = {}
    for person in PEOPLE:
        answer = getattr(browsers[person], method)(path)
        assert answer.status_code < 500 or name == "readyz", (person, answer.status_code)
        assert "Content-Security-Policy" in answer.headers, person
        assert answer.headers["X-Content-Type-Options"] == "nosniff", person
        found[person] = outcome(answer)
    assert found == {person: RULES[name].expected(person, method) for person in PEOPLE}


def test_the_whole_administration_is_for_administrators(world):
    _, browsers = world
    (administration,) = (each for each in get_resolver().url_patterns if getattr(each, "namespace", "") == "admin")
    paths = [path for address in _below(administration) if (path := _admin_path(address))]
    assert len(paths) > 25
    for path in paths:
        for person in ("stranger", "member", "owner"):
            for method in METHODS:
                answer = getattr(browsers[person], method)(path)
                sent_away = answer.status_code == 302 and "/login/?next=" in answer.headers["Location"]
                assert sent_away or answer.status_code == 403, (path, person, method, answer.status_code)


def _admin_path(address: URLPattern) -> str:
    """A path that the address takes; empty for the door itself, the way out, and for what catches the rest."""
    if address.name in (None, "login", "logout"):
        return ""
    if address.name == "app_list":
        return "/admin/accounts/"
    words = dict.fromkeys(address.pattern.converters, "1")
    groups = 0 if words else address.pattern.regex.groups
    return reverse(f"admin:{address.name}", args=["1"] * groups, kwargs=words)


def _below(resolver: URLResolver) -> Iterator[URLPattern]:
    for each in resolver.url_patterns:
        if isinstance(each, URLPattern):
            yield each
        else:
            yield from _below(each)


@pytest.mark.parametrize("person", ["stranger", "member"])
def test_what_another_person_owns_cannot_be_named_in_a_form(world, person):
    values, browsers = world
    client = browsers[person]
    answers = {
        "submission_key": uuid.uuid4(),
        "entry_script": "train.py",
        "experiment": "mine",
        "compute_target": "local",
    }
    before = Run.objects.count()
    for stolen in (
        {"cloned_from": values["pk"], "source": "clone"},
        {"upload": values["upload_id"], "source": "upload"},
        {"source": "path", "server_path": "/etc"},
    ):
        assert client.post("/runs/new", {**answers, **stolen}).status_code in (302, 404, 422)
    assert client.get(f"/runs/new?clone={values['pk']}").status_code in (302, 404)
    assert Run.objects.count() == before


def test_every_form_and_call_that_changes_something_asks_for_its_token(world):
    values, browsers = world
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browsers["owner"].cookies
    for address in addresses():
        path = reverse(address.name, kwargs={word: values[word] for word in address.pattern.converters})
        status = strict.post(path).status_code
        assert status == 403 or (status == 405 and RULES[address.name].post is None), (path, status)
    assert Run.objects.get(pk=values["pk"]).cancel_requested_at is None
