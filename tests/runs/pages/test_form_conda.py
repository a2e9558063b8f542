"""Packages from conda on the form, its clone and the run's page."""

import re

import pytest

from runs.models import Run, Upload
from runs.spec import RunSpec
from tests.factories import make_environment, make_run
from tests.runs.pages.conftest import zip_file
from tests.runs.pages.test_form_packages import errors_of, submit

pytestmark = pytest.mark.usefixtures("local")

FILE = "name: digits\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - numpy\n  - pip:\n    - six\n"


def test_packages_and_channels_reach_the_run_and_its_clone(person, answers):
    fields = answers(conda_packages="numpy=1.26\n# no more\nscipy\n", conda_channels="conda-forge, bioconda")
    assert submit(person, fields).status_code == 302
    run = Run.objects.get()
    assert run.spec.conda_packages == ("numpy=1.26", "scipy")
    assert run.spec.conda_channels == ("conda-forge", "bioconda")
    page = person.get(f"/runs/new?clone={run.pk}")
    form = page.context["form"]
    assert form["conda_packages"].value() == "numpy=1.26\nscipy"
    assert form["conda_channels"].value() == "conda-forge, bioconda"
    assert re.search(r'<details class="fold"\s+open', page.content.decode())


def test_a_conda_file_is_offered_and_reaches_the_run_and_its_clone(person, answers):
    archive = zip_file({"train.py": "", "deep/other.yaml": "", "environment.yml": FILE})
    assert submit(person, answers(archive=archive, conda_dependencies_file="environment.yml")).status_code == 302
    run = Run.objects.get()
    assert run.spec.conda_dependencies_file == "environment.yml"
    page = person.get(f"/runs/new?clone={run.pk}")
    assert page.context["form"]["conda_dependencies_file"].value() == "environment.yml"
    offered = re.search(r'<datalist id="conda-files">(.*?)</datalist>', page.content.decode()).group(1)
    assert re.findall(r'value="([^"]+)"', offered) == ["environment.yml", "deep/other.yaml"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"conda_packages": "num py"}, "conda_packages", "'num py' is no conda package"),
        ({"conda_packages": "python=3.8"}, "conda_packages", "ask for python 3.8.*"),
        ({"conda_packages": "a", "conda_channels": "https://evil.example/c"}, "conda_channels", "no channel of this"),
        ({"conda_dependencies_file": "gone.yml"}, "conda_dependencies_file", "It has environment.yml."),
        ({"conda_dependencies_file": "../e.yml"}, "conda_dependencies_file", "lies outside the source folder"),
        ({"conda_dependencies_file": "environment.yml", "pip_packages": "six"}, "conda_dependencies_file", "names all"),
        (
            {"conda_dependencies_file": "environment.yml", "conda_channels": "bioconda"},
            "conda_channels",
            "environment.yml names its channels itself",
        ),
        (
            {"conda_packages": "tensorflow=2.18", "pip_packages": "tensorflow==2.17.1"},
            "conda_packages",
            "both be met",
        ),
    ],
)
def test_a_problem_is_said_beside_its_field_and_while_typing(person, answers, fields, field, words):
    archive = zip_file({"train.py": "", "environment.yml": FILE})
    response = submit(person, answers(archive=archive, **fields))
    assert response.status_code == 422
    assert list(errors_of(response)) == [field]
    assert words in " ".join(errors_of(response)[field])
    query = {"upload": str(Upload.objects.get().pk), "source": "upload", "entry_script": "train.py", **fields}
    page = person.post("/runs/new/packages", query).content.decode()
    beside = re.search(rf'id="id_{field}_error">(.*?)</div>', page, re.DOTALL).group(1)
    assert "field-error" in beside


def test_what_is_passed_over_in_a_file_is_said(person, answers):
    archive = zip_file({"train.py": "", "environment.yml": FILE})
    response = submit(person, answers(archive=archive, conda_dependencies_file="environment.yml", experiment=""))
    assert "environment.yml:1: the environment&#x27;s name is passed over" in response.content.decode()


def test_the_runs_page_says_what_was_taken_from_pypi(person, member, local):
    sentence = "numpy 1.26.* from conda is taken from PyPI as numpy==1.26.*."
    conda = {"channels": [], "packages": ["numpy 1.26.*"], "instead": [sentence]}
    framework = {"version": "2.21.0", "requirements": ["tensorflow==2.21.0"], "pinned_by": "platform"}
    environment = make_environment(local, spec={"framework": framework, "conda": conda})
    environment.spec = {
        **environment.spec,
        "conda": {"channels": [], "packages": ["numpy 1.26.*"], "instead": [sentence]},
    }
    environment.save()
    run = make_run(owner=member, environment=environment, spec=RunSpec(conda_packages=("numpy=1.26",)))
    page = person.get(run.get_absolute_url()).content.decode()
    assert "No conda channel could be reached, so packages come from PyPI." in page
    assert sentence in page
    assert "numpy=1.26" in page
