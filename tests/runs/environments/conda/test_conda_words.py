"""Specs, channels, conda's part of a lock, and what PyPI has in place of conda's packages."""

import pytest

from runs.environments.conda.channels import channel_addresses, channel_problem, channel_shown
from runs.environments.conda.fallback import pip_versions, substitutes
from runs.environments.conda.records import conda_record, lock_conda, with_conda
from runs.environments.conda.specs import conda_allows, conda_spec
from runs.environments.difference import difference
from runs.environments.export import dockerfile, environment_yml, requirements_txt
from runs.environments.lock import lock_packages
from runs.errors import EnvironmentFailed
from tests.runs.environments.test_export import LOCK, parse

SHA256 = "0" * 63 + "1"
FORGE = "https://conda.anaconda.org/conda-forge"


def line(name: str, version: str, *, build: str = "0", channel: str = FORGE) -> str:
    return f"# conda {name} {version} {build} {channel}/noarch/{name}-{version}-{build}.conda sha256:{SHA256}\n"


@pytest.fixture
def configure(settings):
    def change(**values: object) -> None:
        env = settings.ENV
        settings.ENV = env.__class__(**{name: getattr(env, name) for name in env.__slots__} | values)

    return change


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("numpy", "numpy"),
        ("NumPy", "numpy"),
        ("numpy=1.26", "numpy 1.26.*"),
        ("numpy==1.26", "numpy ==1.26"),
        ("numpy 1.26", "numpy ==1.26"),
        ("numpy >=1.20,<2", "numpy >=1.20,<2"),
        ("numpy=1.26|2.0", "numpy 1.26.*|==2.0"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy ==1.26.4 py311h64a7726_0"),
        ("_openmp_mutex", "_openmp_mutex"),
        ("conda-forge::numpy=1.26", f'numpy 1.26.*[channel="{FORGE}"]'),
    ],
)
def test_a_package_is_read_as_conda_reads_it(text: str, meaning: str) -> None:
    assert conda_spec(text).text == meaning


@pytest.mark.parametrize(
    "text",
    [
        *("", "num py", "numpy=", "*", "numpy[version=1]", "numpy;rm -rf /", "numpy=1\nscipy", "/tmp/x-1-0.conda"),
        *("https://x.example/x-1-0.conda", "file:///x-1-0.conda", "a::b::c", "../c::numpy", "x" * 301, "numpy @ x"),
    ],
)
def test_what_is_no_package_is_refused_with_the_line(text: str) -> None:
    with pytest.raises(EnvironmentFailed, match=r"conda package|no channel"):
        conda_spec(text)


def test_an_address_is_a_channel_only_when_an_administrator_lists_it(configure) -> None:
    assert "an address can be used when" in channel_problem("https://mirror.example/lab")
    assert "an address can be used when" in channel_problem("file:///srv/lab")
    configure(conda_channels=("file:///srv/lab/", "conda-forge"), conda_channel_alias="https://mirror.example/")
    assert channel_problem("file:///srv/lab") == ""
    assert channel_problem("file:///srv/lab/../secret") != ""
    assert channel_addresses(()) == ["file:///srv/lab", "https://mirror.example/conda-forge"]
    assert channel_addresses(["bioconda", "defaults"]) == [
        "https://mirror.example/bioconda",
        "file:///srv/lab",
        "https://mirror.example/conda-forge",
    ]
    assert channel_shown("https://mirror.example/bioconda") == "bioconda"


@pytest.mark.parametrize("name", ["", "..", "a/../b", "a b", "a@b", "user:pw@host", "-x", "a//b", "x" * 101, "a\nb"])
def test_a_channels_name_leads_nowhere_else(name: str) -> None:
    assert channel_problem(name)


def test_pythons_that_an_expression_allows() -> None:
    assert conda_allows("3.11.4", "3.11.*")
    assert conda_allows("3.11.4", ">=3.10,<3.12")
    assert not conda_allows("3.12.0", "3.11.*")


def test_the_lock_keeps_condas_packages_beside_pips() -> None:
    lock = line("numpy", "1.26.4") + LOCK
    assert [(each.name, each.version, each.channel) for each in lock_conda(lock)] == [("numpy", "1.26.4", FORGE)]
    assert lock_packages(lock) == ["leaf==1.5", "tree==2.0"]
    assert with_conda(lock, lock_conda(lock)) == lock
    assert with_conda(LOCK, lock_conda(lock)) == lock


@pytest.mark.parametrize(
    "change",
    [
        {"url": f"{FORGE}/noarch/../../../x-1-0.conda"},
        {"url": "https://user:secret@conda.anaconda.org/conda-forge/noarch/x-1-0.conda"},
        {"url": "https://evil.example/noarch/x-1-0.conda"},
        {"url": f"{FORGE}/noarch/x-1-0.conda?token=1"},
        {"url": "file:///etc/x-1-0.conda"},
        {"sha256": ""},
        {"sha256": "zz"},
        {"version": "1\n--index-url"},
        {"name": "x y"},
    ],
)
def test_a_record_that_cannot_be_locked_is_refused(change: dict[str, str]) -> None:
    facts = {"name": "x", "version": "1", "build": "0", "url": f"{FORGE}/noarch/x-1-0.conda", "sha256": SHA256}
    assert conda_record(facts, [FORGE]).name == "x"
    with pytest.raises(EnvironmentFailed):
        conda_record({**facts, **change}, [FORGE])


def test_the_difference_of_locks_shows_condas_packages() -> None:
    before = line("numpy", "1.26.4") + line("same", "1.0") + line("built", "1.0", build="0")
    after = line("numpy", "2.0") + line("same", "1.0") + line("built", "1.0", build="1")
    changes = {change.name: (change.kind, change.before, change.after) for change in difference(before, after)}
    assert changes == {
        "built (conda)": ("changed", "1.0 0", "1.0 1"),
        "numpy (conda)": ("newer", "1.26.4 0", "2.0 0"),
    }


def test_exports_have_condas_packages_or_say_that_they_lack_them() -> None:
    lock = line("numpy", "1.26.4", build="py311_0") + line("python", "3.11.4", channel="file:///srv/lab") + LOCK
    found = parse(environment_yml(lock, name="trainhouse-0a1b", python="3.11.4", origin="here"))
    assert found["channels"] == ["conda-forge", "file:///srv/lab"]
    assert found["dependencies"][:3] == ["numpy=1.26.4=py311_0", "python=3.11.4=0", "pip"]
    for text in (requirements_txt(lock, origin="x"), dockerfile(lock, python="3.11.4", gpu=False, origin="x")):
        assert "# Not in here, since they came from conda (environment.yml has them): numpy, python" in text


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("", ""),
        ("1.26.*", "==1.26.*"),
        ("==1.26", "==1.26"),
        (">=1.20,<2", "<2,>=1.20"),
        ("~=1.2", "~=1.2"),
        ("!=1.2.*", "!=1.2.*"),
    ],
)
def test_condas_versions_in_pips_words(conda: str, pip: str) -> None:
    assert pip_versions(conda) == pip


def test_alternatives_cannot_be_said_to_pip() -> None:
    with pytest.raises(EnvironmentFailed, match="cannot be said to pip"):
        pip_versions("1.26.*|==2.0")


def test_packages_of_the_same_purpose_are_taken_by_the_map() -> None:
    lines = (
        "numpy=1.26",
        "opencv=4.9.0",
        "pytables",
        "python-graphviz>=0.20",
        "cudatoolkit=11.2",
        "scipy=1.11=py311_0",
    )
    found = substitutes([conda_spec(text) for text in lines])
    assert [each.pip for each in found] == [
        *("numpy==1.26.*", "opencv-python-headless==4.9.0.*", "tables", "graphviz>=0.20", "", "scipy==1.11"),
    ]
    assert found[0].sentence == "numpy 1.26.* from conda is taken from PyPI as numpy==1.26.*."
    assert found[4].sentence == "cudatoolkit 11.2.* from conda is left out: TensorFlow for GPUs brings CUDA."
    assert "its build 'py311_0' has no counterpart there" in found[5].sentence


def test_packages_without_a_counterpart_are_all_named() -> None:
    with pytest.raises(EnvironmentFailed, match=r"For r-base, samtools from conda no package of PyPI is known"):
        substitutes([conda_spec("r-base"), conda_spec("numpy"), conda_spec("samtools")])
