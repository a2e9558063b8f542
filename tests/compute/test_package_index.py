"""The machine's settings of pip and uv, said again for builds."""

from pathlib import Path

import pytest

from compute import package_index as room
from compute.package_index import package_index, without_credentials


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A server's variables with an empty home, on a machine without settings."""
    monkeypatch.setattr(room, "PIP_MACHINE_FILE", tmp_path / "none.conf")
    return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none"), "PIP_CONFIG_FILE": "/dev/null"}


def pip_conf(environ: dict[str, str], text: str) -> None:
    path = Path(environ["HOME"]) / "own.conf"
    path.write_text(text)
    environ["PIP_CONFIG_FILE"] = str(path)


def test_nothing_said_is_nothing_told(environ: dict[str, str]) -> None:
    told = package_index(environ)
    assert (told.variables, told.files, told.secrets, told.shown) == ({}, {}, (), ())


def test_what_is_said_to_pip_is_said_to_uv(environ: dict[str, str]) -> None:
    pip_conf(
        environ,
        "[global]\nindex-url = https://one.example/simple\ntimeout = 60\nproxy = http://proxy.example:3128\n"
        "[install]\nextra_index_url =\n  https://two.example/simple\n  https://three.example/simple\n"
        "trusted-host = one.example two.example\n",
    )
    assert package_index(environ).variables == {
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_INDEX": "https://two.example/simple https://three.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "one.example two.example",
        "UV_HTTP_TIMEOUT": "60",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
    }


def test_a_variable_of_pip_wins_over_its_file_and_uv_over_pip(environ: dict[str, str]) -> None:
    pip_conf(environ, "[global]\nindex-url = https://file.example/simple\n")
    environ["PIP_INDEX_URL"] = "https://variable.example/simple"
    assert package_index(environ).variables == {"UV_DEFAULT_INDEX": "https://variable.example/simple"}
    environ["UV_INDEX_URL"] = "https://uv.example/simple"
    assert package_index(environ).variables == {}


@pytest.mark.parametrize("text", ['[[index]]\nurl = "https://uv.example"\n', 'index-url = "https://uv.example"\n'])
def test_an_index_in_uvs_own_file_wins_over_pips(environ: dict[str, str], text: str) -> None:
    environ["PIP_INDEX_URL"] = "https://pip.example/simple"
    path = Path(environ["HOME"]) / ".config" / "uv" / "uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    told = package_index(environ)
    assert told.variables == {}
    assert told.files == {"uv/uv.toml": text.encode()}
    assert told.file_variables == {"XDG_CONFIG_HOME": "."}
    assert package_index({**environ, "UV_NO_CONFIG": "1"}).files == {}


def test_no_index_at_all_is_said_in_a_file_since_uv_has_no_variable_for_it(environ: dict[str, str]) -> None:
    environ |= {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "https://pip.example/simple"}
    told = package_index(environ)
    assert (told.variables, told.files) == ({}, {"uv/uv.toml": b"no-index = true\n"})
    assert told.shown == (("no-index", "no index is asked"),)
    environ["UV_DEFAULT_INDEX"] = "https://uv.example/simple"
    assert package_index(environ).files == {}


def test_folders_of_packages_that_are_not_there_are_passed_over(environ: dict[str, str], tmp_path: Path) -> None:
    environ["PIP_FIND_LINKS"] = f"{tmp_path} /not/there https://links.example/page"
    (tmp_path / "house").mkdir()
    told = package_index(environ, wheelhouse=str(tmp_path / "house"))
    assert told.variables["UV_FIND_LINKS"] == f"{tmp_path}/house,{tmp_path},https://links.example/page"


def test_a_file_of_pip_that_cannot_be_read_is_said_and_passed_over(environ: dict[str, str]) -> None:
    pip_conf(environ, "index-url = no section\n")
    told = package_index(environ)
    assert told.variables == {}
    assert told.origins == (f"pip's file {environ['PIP_CONFIG_FILE']}, which cannot be read",)


def test_every_password_is_known_and_none_is_shown(environ: dict[str, str], tmp_path: Path) -> None:
    pip_conf(environ, "[global]\nindex-url = https://me:p%40ss-1@one.example/simple\n")
    (tmp_path / ".netrc").write_text("machine two.example login me password netrc-word\n")
    environ["UV_INDEX"] = "https://token-word@three.example/simple?key=query-word"
    environ["UV_INDEX_MINE_PASSWORD"] = "variable-word"
    environ["HTTPS_PROXY"] = "http://me:proxy-word@proxy.example:3128"
    environ["ALL_PROXY"] = "me:bare-word@proxy.example:3128"
    environ["UV_DEFAULT_INDEX"] = "https://me:at@sign-word@four.example/simple"
    told = package_index(environ)
    assert set(told.secrets) >= {"bare-word", "at@sign-word"}
    assert set(told.secrets) >= {"p%40ss-1", "p@ss-1", "netrc-word", "token-word", "variable-word", "proxy-word"}
    assert told.files["netrc"].endswith(b"netrc-word\n")
    for word in (
        "ss-1",
        "netrc-word",
        "token-word",
        "variable-word",
        "proxy-word",
        "query-word",
        "bare-word",
        "sign-word",
    ):
        assert word not in repr(told)
    assert dict(told.shown)["UV_INDEX"] == "https://••••••@three.example/simple?••••••"
    assert without_credentials("see http://a:b@h/x and http://c@h") == "see http://••••••@h/x and http://••••••@h"
