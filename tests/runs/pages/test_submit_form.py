"""The form of a new run, as a browser without scripts sends it."""

import re
import uuid

import pytest
from django.test import Client

from compute.masking import MASK
from runs.models import Run, Upload
from runs.spec import RunSpec
from tests.factories import make_run, make_user
from tests.runs.pages.conftest import zip_file

pytestmark = pytest.mark.usefixtures("local")


def submit(client: Client, fields: dict[str, object]):
    return client.post("/runs/new", fields)


def errors_of(response) -> dict[str, list[str]]:
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


def test_a_zip_and_an_entry_script_are_enough(person, member, answers):
    response = submit(person, answers())
    run = Run.objects.get()
    assert response.status_code == 302
    assert response.url == f"/runs/{run.pk}/"
    assert run.owner == member
    assert str(run) == "digits #1"
    assert run.spec == RunSpec(entry_script="train.py", compute_target="local")


def test_every_answer_reaches_the_run(person, answers):
    fields = answers(
        name="lr sweep",
        tags="baseline, größe,, baseline",
        notes="first\r\nsecond",
        pip_packages="scikit-learn\r\n\r\n# data\r\npandas>=2  # frames",
        max_hours="1",
        max_minutes="30",
        keras_metrics=None,
        **{
            "environment_variables.name": ["TF_CPP_MIN_LOG_LEVEL"],
            "environment_variables.value": ["2"],
        },
    )
    submit(person, fields)
    run = Run.objects.get()
    assert (run.name, run.tags, run.notes) == ("lr sweep", ["baseline", "größe"], "first\nsecond")
    assert run.spec.pip_packages == ("scikit-learn", "pandas>=2")
    assert run.spec.max_run_duration_seconds == 5400
    assert run.spec.environment_variables == {"TF_CPP_MIN_LOG_LEVEL": "2"}
    assert run.spec.keras_metrics is False


def test_parameters_keep_their_order_and_every_byte(person, answers):
    rows = [
        ("--name", 'it\'s a "test"; rm -rf / $HOME `id`'),
        ("--poem", "two\r\nlines "),
        ("--flag", ""),
        ("", ""),
        ("--emoji", " 🚂 "),
        ("--zero", "0"),
    ]
    fields = answers(**{"script_params.name": [n for n, _ in rows], "script_params.value": [v for _, v in rows]})
    submit(person, fields)
    assert Run.objects.get().spec.argv == (
        "--name",
        'it\'s a "test"; rm -rf / $HOME `id`',
        "--poem",
        "two\nlines ",
        "--flag",
        "--emoji",
        " 🚂 ",
        "--zero",
        "0",
    )


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"archive": None}, "source", "Upload the source folder"),
        ({"archive": zip_file({"a.txt": "x"})}, "entry_script", "It has no Python file"),
        ({"entry_script": "missing.py"}, "entry_script", "There is no 'missing.py'"),
        ({"entry_script": "../x.py"}, "entry_script", "outside the source folder"),
        ({"entry_script": ""}, "entry_script", "Name the script"),
        ({"pip_packages": "scikit learn !"}, "pip_packages", "is no package requirement"),
        ({"framework_version": "0.1"}, "framework_version", "not in the catalogue"),
        ({"compute_target": "moon"}, "compute_target", "There is no target 'moon'"),
        ({"use_gpu": "on"}, "use_gpu", "has no GPU"),
        ({"experiment": "a b"}, "experiment", "cannot be an experiment's name"),
        ({"experiment": ""}, "experiment", "cannot be an experiment's name"),
        ({"name": "x" * 201}, "name", "201 characters"),
        ({"tags": "x" * 101}, "tags", "101 characters"),
        ({"max_hours": "-1"}, "max_hours", "greater than or equal to 0"),
        ({"max_hours": "90000"}, "max_hours", "315,360,000"),
        ({"max_minutes": "soon"}, "max_minutes", "Enter a number"),
        ({"entry_script": "x" * 1025}, "entry_script", "at most 1024 characters"),
        ({"script_params.name": ["--a", "--a"], "script_params.value": ["1", "2"]}, "script_params", "given twice"),
        ({"script_params.name": [""], "script_params.value": ["1"]}, "script_params", "has no parameter name"),
        (
            {"environment_variables.name": ["1A"], "environment_variables.value": ["x"]},
            "environment_variables",
            "cannot be a variable's name",
        ),
        (
            {"environment_variables.name": ["A", "A"], "environment_variables.value": ["1", "2"]},
            "environment_variables",
            "given twice",
        ),
        ({"archive": zip_file({"../train.py": "x"})}, "archive", "train.py"),
    ],
)
def test_a_problem_is_said_beside_its_field(person, answers, changes, field, words):
    response = submit(person, answers(**changes))
    assert response.status_code == 422
    errors = errors_of(response)
    assert list(errors) == [field]
    assert words in " ".join(errors[field])
    assert not Run.objects.exists()
    page = response.content.decode()
    assert f'href="#id_{field}"' in page
    assert f'id="id_{field}"' in page


def test_all_problems_come_at_once(person, answers):
    response = submit(
        person,
        answers(entry_script="gone.py", pip_packages="!!", experiment="", max_minutes="x", compute_target="moon"),
    )
    assert set(errors_of(response)) == {
        "entry_script",
        "pip_packages",
        "experiment",
        "max_minutes",
        "compute_target",
    }
    page = response.content.decode()
    assert "5 things have to be mended" in page
    wrong = re.search(r'<input[^>]*name="entry_script"[^>]*>', page).group()
    assert 'aria-invalid="true"' in wrong
    described = re.search(r'aria-describedby="([^"]*)"', wrong).group(1).split()
    assert "id_entry_script_error" in described
    assert all(f'id="{name}"' in page for name in described)


def test_after_a_problem_the_zip_and_everything_typed_are_still_there(person, answers):
    typed = answers(
        entry_script="gone.py",
        name="<b>bold</b>",
        pip_packages="pandas",
        **{"script_params.name": ["--x"], "script_params.value": ['\n"1"']},
    )
    response = submit(person, typed)
    page = response.content.decode()
    upload = Upload.objects.get()
    assert f'name="upload" value="{upload.pk}"' in page
    assert "digits.zip" in page
    assert "1 file," in page
    assert "received" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page
    assert ">\n\n&quot;1&quot;</textarea>" in page  # the first line end after the tag is not part of the value

    again = typed | {"archive": "", "upload": str(upload.pk), "entry_script": "train.py"}
    assert submit(person, again).status_code == 302
    assert Run.objects.get().spec.argv == ("--x", '\n"1"')


def test_another_persons_upload_is_no_source(person, answers):
    run = make_run(owner=make_user())
    foreign = Upload.objects.create(owner=run.owner, name="secret.zip", snapshot=run.snapshot)
    response = submit(person, answers(archive=None, upload=str(foreign.pk)))
    assert "source" in errors_of(response)
    assert "secret.zip" not in response.content.decode()


def test_the_same_form_posted_twice_is_one_run(person, answers):
    key = str(uuid.uuid4())
    first = submit(person, answers(submission_key=key))
    second = submit(person, answers(submission_key=key))
    assert first.url == second.url
    assert Run.objects.count() == 1


def test_add_rows_keeps_everything_and_complains_of_nothing(person, answers):
    fields = answers(
        add="script_params",
        entry_script="gone.py",
        **{"script_params.name": ["--x", ""], "script_params.value": ["1", ""]},
    )
    response = submit(person, fields)
    page = response.content.decode()
    assert response.status_code == 200
    assert not response.context["form"].errors
    assert len(response.context["form"].parameter_rows) == 4
    assert 'value="--x"' in page
    assert 'value="gone.py"' in page
    assert "digits.zip" in page
    assert not Run.objects.exists()


def test_a_clone_brings_every_answer_except_secrets(person, member):
    spec = RunSpec(
        entry_script="main.py",
        compute_target="local",
        script_params=(("--layers", [64, 32]), ("--flag", "")),
        pip_packages=("pandas",),
        environment_variables={"A": "1", "API_TOKEN": MASK},
        max_run_duration_seconds=5430,
        keras_metrics=False,
    )
    run = make_run(owner=member, spec=spec, name="first", tags=["a", "b"])
    form = person.get(f"/runs/new?clone={run.pk}").context["form"]
    assert form["entry_script"].value() == "main.py"
    assert form["tags"].value() == "a, b"
    assert (form["max_hours"].value(), form["max_minutes"].value()) == (1, "30.5")
    assert form["source"].value() == "clone"
    assert [(row.name, row.value) for row in form.parameter_rows] == [
        ("--layers", "64"),
        ("32", ""),
        ("--flag", ""),
        ("", ""),
    ]
    assert [(row.name, row.value, row.is_lost) for row in form.variable_rows] == [
        ("A", "1", False),
        ("API_TOKEN", "", True),
        ("", "", False),
    ]
    assert MASK not in person.get(f"/runs/new?clone={run.pk}").content.decode()


def test_a_clone_runs_the_same_source_and_asks_again_for_secrets(person, answers):
    secret = {"environment_variables.name": ["API_TOKEN"], "environment_variables.value": ["s3cret"]}
    submit(person, answers(**secret))
    first = Run.objects.get()
    clone = answers(archive=None, source="clone", cloned_from=str(first.pk))
    empty = {"environment_variables.name": ["API_TOKEN"], "environment_variables.value": [""]}
    response = submit(person, clone | empty)
    assert "was a secret of digits #1" in errors_of(response)["environment_variables"][0]
    assert submit(person, clone | secret).status_code == 302
    second = Run.objects.exclude(pk=first.pk).get()
    assert second.cloned_from == first
    assert second.snapshot == first.snapshot


@pytest.mark.parametrize("number", ["999999", "x", "9" * 30, "-1"])
def test_a_run_that_is_not_there_cannot_be_cloned(person, number):
    assert person.get(f"/runs/new?clone={number}").status_code == 404


def test_another_persons_run_cannot_be_cloned(person, answers):
    run = make_run(owner=make_user())
    assert person.get(f"/runs/new?clone={run.pk}").status_code == 404
    assert submit(person, answers(source="clone", cloned_from=str(run.pk))).status_code == 404


def test_only_administrators_take_a_folder_of_the_server(person, admin, answers, tmp_path):
    (tmp_path / "train.py").write_text("print('hello')\n")
    fields = answers(archive=None, source="path", server_path=str(tmp_path))
    assert submit(person, fields).status_code == 422
    assert "server_path" not in person.get("/runs/new").content.decode()

    client = Client()
    client.force_login(admin)
    assert submit(client, fields).status_code == 302
    relative = submit(client, answers(archive=None, source="path", server_path="train"))
    assert "is no absolute path" in errors_of(relative)["server_path"][0]


def test_someone_without_a_target_is_told_why(person, settings, monkeypatch):
    monkeypatch.setattr("runs.permissions.os.geteuid", lambda: 1000)
    settings.ENV = settings.ENV.__class__(
        **{name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"members_may_use_local": False}
    )
    assert "You may not use a target yet" in person.get("/runs/new").content.decode()


def test_the_form_is_never_kept_by_a_cache(person):
    assert "no-store" in person.get("/runs/new")["Cache-Control"]


def test_counts_of_another_distribution_are_nobodys_mistake(person, answers):
    fields = answers(distributed_backend="multiworker", worker_count="2", parameter_server_count="many")
    assert submit(person, fields).status_code == 302
    assert Run.objects.get().spec == RunSpec(
        entry_script="train.py", compute_target="local", distributed_backend="multiworker", worker_count=2
    )


@pytest.mark.parametrize("typed", ["--5", "9" * 5000, "²", "two"])
def test_a_count_that_is_no_number_is_refused_beside_its_field(person, answers, typed):
    response = submit(person, answers(distributed_backend="multiworker", worker_count=typed))
    assert response.status_code == 422
    assert list(errors_of(response)) == ["worker_count"]
