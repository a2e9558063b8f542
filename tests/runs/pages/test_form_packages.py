"""The requirements file, legacy Keras and what is said of packages, on the form and on the run's page."""

import re

import pytest
from django.urls import reverse

from runs.models import Run, Upload
from runs.spec import RunSpec
from tests.factories import make_environment, make_run
from tests.runs.pages.conftest import zip_file

pytestmark = pytest.mark.usefixtures("local")

FILES = {
    "train.py": "print('hello')\n",
    "requirements.txt": "-r more/base.txt\ntensorflow==2.18.1\n",
    "more/base.txt": "six\n",
    "notes.txt": "nothing\n",
    "horovod.py": "",
}


def submit(client, fields):
    return client.post("/runs/new", fields)


def errors_of(response) -> dict[str, list[str]]:
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


def test_a_requirements_file_and_legacy_keras_reach_the_run_and_its_clone(person, answers):
    fields = answers(archive=zip_file(FILES), pip_requirements_file="requirements.txt", legacy_keras="on")
    assert submit(person, fields).status_code == 302
    run = Run.objects.get()
    assert (run.spec.pip_requirements_file, run.spec.legacy_keras) == ("requirements.txt", True)
    clone = person.get(f"/runs/new?clone={run.pk}")
    form = clone.context["form"]
    assert (form["pip_requirements_file"].value(), form["legacy_keras"].value()) == ("requirements.txt", True)
    offered = re.search(r'<datalist id="requirements">(.*?)</datalist>', clone.content.decode()).group(1)
    assert re.findall(r'value="([^"]+)"', offered) == ["requirements.txt", "notes.txt", "more/base.txt"]
    again = answers(archive=None, source="clone", cloned_from=str(run.pk), pip_requirements_file="requirements.txt")
    assert submit(person, again).status_code == 302


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("gone.txt", "six", "There is no 'gone.txt' in the source folder. It has requirements.txt."),
        ("../requirements.txt", "six", "lies outside the source folder"),
        ("requirements.txt", "six\n--index-url https://x.example", "requirements.txt:2 has --index-url"),
        ("requirements.txt", "-r requirements.txt", "requirements.txt includes requirements.txt"),
        ("requirements.txt", "pandas==1.0", "'pandas==2.0' (pip packages) and 'pandas==1.0' (requirements.txt:1)"),
    ],
)
def test_a_problem_of_the_file_is_said_beside_its_field(person, answers, path, text, words):
    archive = zip_file({"train.py": "", "requirements.txt": text})
    response = submit(person, answers(archive=archive, pip_requirements_file=path, pip_packages="pandas==2.0"))
    assert response.status_code == 422
    (messages,) = errors_of(response).values()
    assert list(errors_of(response)) == ["pip_requirements_file"]
    assert words in messages[0]
    assert 'id="id_pip_requirements_file_error"' in response.content.decode()


def test_every_bad_line_is_named(person, answers):
    archive = zip_file({"train.py": "", "requirements.txt": "a b\nsix\n-e .\nsix @ https://x.example/six.whl\n"})
    response = submit(person, answers(archive=archive, pip_requirements_file="requirements.txt"))
    places = [message.split(" ")[0] for message in errors_of(response)["pip_requirements_file"]]
    assert places == ["requirements.txt:1", "requirements.txt:3", "requirements.txt:4"]


def test_an_address_may_be_named_where_the_administrator_allows_it(person, answers, settings):
    settings.ENV = settings.ENV.__class__(
        **{name: getattr(settings.ENV, name) for name in settings.ENV.__slots__} | {"allow_url_packages": True}
    )
    archive = zip_file({"train.py": "", "requirements.txt": "six @ https://x.example/six.whl\n"})
    fields = answers(
        archive=archive, pip_requirements_file="requirements.txt", pip_packages="wrapt @ https://x.example/w.whl"
    )
    assert submit(person, fields).status_code == 302


def test_the_form_says_which_pin_wins_and_which_file_hides_a_library(person, answers):
    archive = zip_file(FILES)
    response = submit(person, answers(archive=archive, pip_requirements_file="requirements.txt", experiment=""))
    said = response.context["advice"]
    assert any("'tensorflow==2.18.1' (requirements.txt:2) says, which wins over" in sentence for sentence in said)
    assert any("horovod.py hides the library horovod" in sentence for sentence in said)
    assert "horovod.py hides the library" in response.content.decode()


def test_what_is_worth_knowing_comes_while_the_form_is_filled_in(person, member, answers):
    submit(person, answers(archive=zip_file(FILES), experiment=""))
    upload = Upload.objects.get()
    query = {"upload": str(upload.pk), "source": "upload", "entry_script": "train.py"}
    page = person.post("/runs/new/packages", {**query, "legacy_keras": "on"}).content.decode()
    assert "horovod.py hides the library" in page
    assert "Legacy Keras: tf_keras" in page
    assert 'hx-swap-oob="true"' in page
    wrong = person.post("/runs/new/packages", {**query, "pip_requirements_file": "notes.txt"}).content.decode()
    assert "field-error" not in wrong.replace("field-errors", "")
    gone = person.post("/runs/new/packages", {**query, "pip_requirements_file": "gone.txt"}).content.decode()
    assert "There is no &#x27;gone.txt&#x27;" in gone


def test_another_persons_upload_is_not_read(person, admin, answers):
    submit(person, answers(archive=zip_file(FILES), experiment=""))
    Upload.objects.update(owner=admin)
    page = person.post("/runs/new/packages", {"upload": str(Upload.objects.get().pk), "source": "upload"})
    assert "hides" not in page.content.decode()


def test_the_page_of_a_run_shows_its_file_its_pin_and_hidden_libraries(person, member, answers, local):
    fields = answers(archive=zip_file(FILES), pip_requirements_file="requirements.txt", legacy_keras="on")
    submit(person, fields)
    run = Run.objects.get()
    framework = {"version": "2.18.1", "requirements": ["tensorflow==2.18.1"], "pinned_by": "user"}
    run.environment = make_environment(local, spec={"framework": framework, "packages": ["six"]})
    run.save(update_fields=["environment"])
    page = person.get(reverse("run", args=[run.pk])).content.decode()
    assert "requirements.txt" in page
    assert "pinned by the run itself (tensorflow==2.18.1)" in page
    assert "Legacy Keras: tf_keras 2.18 is installed" in page
    assert "horovod.py hides the library horovod" in page


def test_a_plain_run_is_told_nothing(person, member):
    run = make_run(owner=member, spec=RunSpec(compute_target="local"))
    page = person.get(reverse("run", args=[run.pk])).content.decode()
    assert "hides" not in page
    assert "pinned by" not in page
    assert person.get("/runs/new").context["advice"] == []
