"""The pages of environments: who sees what, what they say, and what administrators may do."""

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from runs.environments.build import environment_lock
from runs.environments.catalogue import releases
from runs.environments.request import spec_digest
from runs.models import Environment, Run, Stream
from runs.states import EnvironmentState, RunState
from runs.stores.logs import log_write
from tests.factories import make_environment, make_run, make_user

FRAGMENT = {"HX-Request": "true"}
HASH = " \\\n    --hash=sha256:" + "a" * 64 + "\n"


def spec(*packages: str, version: str = "2.21.0", gpu: bool = False) -> dict[str, object]:
    framework = {"version": version, "requirements": [f"tensorflow-cpu=={version}"], "pinned_by": "platform"}
    return {"framework": framework, "added": [], "packages": list(packages), "gpu": gpu}


def lock(**versions: str) -> str:
    return "".join(f"{name.replace('_', '-')}=={version}{HASH}" for name, version in versions.items())


def titles(response) -> list[str]:
    found = re.findall(r'class="environment-link"[^>]*>([^<]*)<', response.content.decode())
    return [html.unescape(title) for title in found]


def text(response) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", response.content.decode()))


@pytest.fixture
def boss(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("runs.services.environments.enqueue_build", found.append)
    return found


def test_an_empty_list_teaches(person):
    page = text(person.get("/environments/"))
    assert "Environments make themselves" in page
    assert "TensorFlow versions" in page


def test_an_environment_is_named_by_what_is_in_it(boss, local):
    make_environment(local, spec=spec("pandas>=2", "scikit-learn"), lock=lock(tensorflow_cpu="2.21.0", pandas="2.3.1"))
    make_environment(local, spec=spec(*"abcdef", version="2.20.0", gpu=True))
    make_environment(local, spec={})
    make_environment(local, spec={**spec("six"), "horovod": {"version": "0.28.1"}})
    pinned = spec()
    pinned["framework"] |= {"pinned_by": "user", "requirements": ["tensorflow<2.20"]}
    make_environment(local, spec=pinned)
    answer = boss.get("/environments/")
    found = titles(answer)
    assert "with Horovod" in answer.content.decode()
    assert "TensorFlow 2.21.0 + pandas>=2, scikit-learn" in found
    assert "TensorFlow 2.20.0 + a, b, c, d and 2 more" in found
    assert "tensorflow<2.20" in found
    assert any(re.fullmatch(r"Environment [0-9a-f]{8}", each) for each in found)


def test_members_see_what_their_own_runs_used_and_administrators_see_all(person, boss, member, local):
    mine, foreign = make_environment(local, spec=spec("mine")), make_environment(local, spec=spec("foreign"))
    make_run(owner=member, target=local, environment=mine)
    make_run(target=local, environment=mine)
    make_run(target=local, environment=foreign)
    assert titles(person.get("/environments/")) == ["TensorFlow 2.21.0 + mine"]
    assert len(titles(boss.get("/environments/"))) == 2
    assert person.get(foreign.get_absolute_url()).status_code == 404
    page = person.get(mine.get_absolute_url())
    assert page.context["run_count"] == 1
    assert boss.get(mine.get_absolute_url()).context["run_count"] == 2
    assert "Delete" not in text(page)
    (row,) = person.get("/environments/").context["table"].rows
    assert row.record.run_count == 1


def test_the_list_is_sorted_and_filtered_in_the_address(boss, local):
    now = timezone.now()
    for name, hours, size in (("old", 30, 3000), ("new", 1, 1000), ("middle", 9, 2000)):
        environment = make_environment(
            local, spec=spec(name), size_bytes=size, path=f"/x/{name}", lock=lock(numpy="2.0")
        )
        Environment.objects.filter(pk=environment.pk).update(
            created_at=now - timedelta(hours=40), last_used_at=now - timedelta(hours=hours)
        )
    make_environment(local, spec=spec("broken"), state=EnvironmentState.FAILED, error="no such package")

    def names(query: str) -> list[str]:
        return [title.rpartition(" ")[2] for title in titles(boss.get(f"/environments/?{query}"))]

    assert names("") == ["broken", "new", "middle", "old"]
    assert names("sort=used_at&q=numpy") == ["old", "middle", "new"]
    assert names("sort=-size&state=ready") == ["old", "middle", "new"]
    assert names("state=failed") == ["broken"]
    assert names("q=numpy==2.0+midd") == ["middle"]
    assert names("state=nonsense") == []
    assert names("sort=spec") == ["broken", "new", "middle", "old"]
    for odd in ("page=x", "q=%00", "q=" + "%25_" * 20_000, "sort=-target__config"):
        assert boss.get(f"/environments/?{odd}").status_code == 200


def test_the_disk_budget_is_for_administrators(person, boss, member, local, settings):
    names = settings.ENV.__slots__
    values = {name: getattr(settings.ENV, name) for name in names} | {"environments_max_bytes": 4 * 1024**3}
    settings.ENV = settings.ENV.__class__(**values)
    for path in ("/x/a", "/x/a", "/x/b", ""):
        environment = make_environment(local, size_bytes=1024**3, path=path)
    make_run(owner=member, target=local, environment=environment)
    page = boss.get("/environments/")
    assert "2.0\xa0GB of 4.0\xa0GB used" in text(page)
    assert 'aria-valuenow="50"' in page.content.decode()
    assert "used" not in text(person.get("/environments/"))


def test_where_packages_come_from_is_for_administrators_and_without_passwords(person, boss, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://reader:s3cret-word@index.example/simple")
    page = boss.get("/environments/").content.decode()
    assert "Where builds look for packages" in page
    assert "https://••••••@index.example/simple" in page
    assert "s3cret-word" not in page
    assert "Where builds look" not in person.get("/environments/").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_environments(boss, local, django_assert_num_queries):
    for _ in range(2):
        make_run(target=local, environment=make_environment(local))
    with django_assert_num_queries(5):  # session, user, size, count, page
        boss.get("/environments/")
    for _ in range(20):
        make_run(target=local, environment=make_environment(local))
    with django_assert_num_queries(5):
        boss.get("/environments/")


def test_the_page_has_packages_lock_runs_and_exports(person, member, local):
    environment = make_environment(
        local,
        spec=spec("pandas"),
        lock=lock(numpy="2.1.0", pandas="2.3.1"),
        python_version="3.11.4",
        size_bytes=5_000_000,
        path="/nowhere",
    )
    run = make_run(owner=member, target=local, environment=environment, name="my run", state=RunState.COMPLETED)
    page = person.get(environment.get_absolute_url())
    shown = text(page)
    assert "numpy 2.1.0" in shown
    assert "--hash=sha256:aaaa" in shown
    assert "my run" in shown
    assert run.get_absolute_url() in page.content.decode()
    downloads = {
        "requirements.txt": "pandas==2.3.1",
        "environment.yml": "python=3.11.4",
        "Dockerfile": "FROM python:3.11-slim",
    }
    for name, words in downloads.items():
        answer = person.get(f"{environment.get_absolute_url()}{name}")
        assert f'filename="{name}"' in answer["Content-Disposition"]
        content = answer.getvalue().decode()
        assert words in content
        assert environment.get_absolute_url() in content.splitlines()[0]
    assert environment.get_absolute_url() in person.get(run.get_absolute_url()).content.decode()


def test_without_a_lock_there_is_nothing_to_take_along(boss, local):
    environment = make_environment(
        local, spec=spec(), state=EnvironmentState.FAILED, error="Package 'pandsa' is missing"
    )
    page = text(boss.get(environment.get_absolute_url()))
    assert "Package 'pandsa' is missing" in page
    assert "Take it along" not in page
    for name in ("requirements.txt", "environment.yml", "Dockerfile"):
        assert boss.get(f"{environment.get_absolute_url()}{name}").status_code == 404


def test_the_log_grows_while_the_environment_is_built_and_then_the_page_is_whole(boss, local):
    environment = make_environment(local, spec=spec(), state=EnvironmentState.BUILDING)
    Environment.objects.filter(pk=environment.pk).update(
        progress={"phase": "download", "label": "Downloading numpy", "percent": 40, "done": 1, "total": 2}
    )
    stream = Stream.objects.create(environment=environment, name="build")
    log_write(stream.pk, b"".join(b"line %d\n" % number for number in range(700)) + b"\x1b[31mhalf")
    path = environment.get_absolute_url()
    page = boss.get(path)
    assert "data-live" in page.content.decode()
    assert "Downloading numpy" in text(page)
    assert "the last 500 of 700 lines" in text(page)
    assert "line 200\n" in text(page)
    assert "line 199\n" not in text(page)
    assert text(page).count("\x1b") == 0
    fragment = boss.get(path, headers=FRAGMENT)
    assert fragment.content.decode().lstrip().startswith('<div id="environment-now"')
    assert "HX-Refresh" not in fragment.headers
    raw = boss.get(f"{path}build.log")
    assert raw.getvalue().startswith(b"line 0\n")
    Environment.objects.update(state=EnvironmentState.FAILED, error="no")
    fragment = boss.get(path, headers=FRAGMENT)
    assert fragment.headers["HX-Refresh"] == "true"
    assert "data-live" not in fragment.content.decode()


def test_one_whose_files_are_gone_is_damaged_and_can_be_built_again(boss, local, asked):
    environment = make_environment(local, spec=spec(), path="/nowhere", lock=lock(six="1.17"), build_count=1)
    path = environment.get_absolute_url()
    assert "Damaged" in text(boss.get(path))
    assert "Damaged" in text(boss.get("/environments/"))
    assert "Build again" in text(boss.get(path))
    assert boss.post(f"{path}rebuild/").url == path
    environment.refresh_from_db()
    assert environment.state == EnvironmentState.REQUESTED
    assert asked == [environment.pk]


@pytest.mark.parametrize("state", [EnvironmentState.FAILED, EnvironmentState.EVICTED, EnvironmentState.REQUESTED])
def test_what_is_not_there_can_be_ordered(boss, local, asked, state):
    environment = make_environment(local, spec=spec(), state=state, error="no")
    assert re.search("Build now|Build again", text(boss.get(environment.get_absolute_url())))
    boss.post(f"{environment.get_absolute_url()}rebuild/")
    environment.refresh_from_db()
    assert (environment.state, environment.error, asked) == (EnvironmentState.REQUESTED, "", [environment.pk])


def test_what_is_being_built_is_not_ordered_twice(boss, local, asked):
    environment = make_environment(local, spec=spec(), state=EnvironmentState.BUILDING)
    with environment_lock(environment):
        page = boss.post(f"{environment.get_absolute_url()}rebuild/", follow=True)
    assert "being built already" in text(page)
    assert asked == []


def test_deleting_asks_first_and_is_refused_while_a_run_needs_it(boss, local):
    environment = make_environment(local, spec=spec("pandas"))
    run = make_run(target=local, environment=environment, name="still here", state=RunState.WAITING)
    path = f"{environment.get_absolute_url()}delete/"
    page = text(boss.get(path))
    assert "still here" in page
    assert "Delete the environment" not in page
    refusal = text(boss.post(path, follow=True))
    assert str(run) in refusal
    assert Environment.objects.exists()
    Run.objects.update(state=RunState.CANCELLED)
    assert "Delete TensorFlow 2.21.0 + pandas?" in text(boss.get(path))
    assert Environment.objects.exists()
    assert "is deleted" in text(boss.post(path, follow=True))
    assert not Environment.objects.exists()


def test_two_environments_are_compared(person, member, local):
    one = make_environment(local, spec=spec("a"), lock=lock(numpy="1.26", six="1.0"), python_version="3.10.1")
    two = make_environment(local, spec=spec("b"), lock=lock(numpy="2.1", pandas="2.3"), python_version="3.11.1")
    foreign = make_environment(local, spec=spec("foreign"), lock=lock(numpy="9"))
    for environment in (one, two):
        make_run(owner=member, target=local, environment=environment)
    page = person.get(f"{two.get_absolute_url()}?compare={one.pk}")
    changes = {change.name: change.kind for change in page.context["changes"]}
    assert changes == {"numpy": "newer", "pandas": "added", "six": "removed"}
    assert "Python is 3.10.1 there and 3.11.1 here" in text(page)
    for hidden in (foreign.pk, "x", two.pk):
        page = person.get(f"{two.get_absolute_url()}?compare={hidden}")
        assert page.status_code == 200
        assert page.context["other"] is None
    assert "foreign" not in text(page)


def test_the_frameworks_on_offer_say_what_to_expect(person):
    page = text(person.get("/environments/frameworks/"))
    for release in releases():
        assert release.version in page
    assert "tf.estimator is gone" in page
    assert "tensorboard is added by the platform" in page
    assert page.count("0.28.1") >= len(releases())
    limits = {release.version: " ".join(release.limits) for release in releases()}
    assert "tf.estimator is gone" not in limits["2.15.1"]
    assert "tf.estimator is gone" in limits["2.16.2"]
    assert "NumPy stays below" in limits["2.17.1"]
    assert "NumPy stays below" not in limits["2.18.1"]


def test_hostile_words_are_shown_as_text(boss, local):
    hostile = "<script>alert(1)</script>"
    environment = make_environment(local, spec=spec(hostile), state=EnvironmentState.FAILED, error=hostile)
    make_run(owner=make_user(), target=local, environment=environment, name=hostile, state=RunState.RUNNING)
    for path in ("/environments/", environment.get_absolute_url(), f"{environment.get_absolute_url()}delete/"):
        assert "<script>alert" not in boss.get(path).content.decode()


def test_an_update_is_ordered_and_shown_by_whoever_used_the_environment(person, member, local, asked):
    described = {**spec("six"), "python": {"version": "3.11.4"}}
    first = make_environment(local, digest="a" * 64, spec=described, lock=lock(six="1.16.0"), python_version="3.11.4")
    Environment.objects.update(wishes=spec_digest(described))
    make_run(owner=member, target=local, environment=first)
    answer = person.post(f"{first.get_absolute_url()}update/")
    update = Environment.objects.exclude(pk=first.pk).get()
    assert (answer.url, update.revision, asked) == (update.get_absolute_url(), 2, [update.pk])
    page = text(person.get(answer.url))
    assert "being resolved anew" in page
    assert "new runs that ask for these packages take the environment before it" in page

    Environment.objects.filter(pk=update.pk).update(state="ready", lock=lock(six="1.17.0"))
    assert "six1.16.01.17.0newer" in text(person.get(answer.url)).replace("\n", "").replace(" ", "")
    assert "take the environment of update 2" in text(person.get(first.get_absolute_url()))

    Environment.objects.filter(pk=update.pk).update(lock=first.lock)
    assert "The update changed nothing" in text(person.get(answer.url))

    Environment.objects.filter(pk=update.pk).update(state="unchanged", lock="")
    page = text(person.get(answer.url))
    assert "The update came to the same versions, so nothing was built." in page
    assert "take the environment before it" in page
    assert "update 2" in text(person.get("/environments/"))
