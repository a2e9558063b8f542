"""Real builds against real indexes, as a machine's settings name them; what they hold stays secret."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runs.environments import environment_build
from runs.environments.lock import lock_packages
from runs.models import Environment
from runs.states import EnvironmentState
from tests.runs.environments.index import Index

Order = Callable[..., Environment]
Log = Callable[[Environment], str]
Patch = pytest.MonkeyPatch

PASSWORD = "s3cret-word"
STRANGER = 200_001


@pytest.fixture
def private(index: Index, monkeypatch: Patch) -> Index:
    """The index, asking for a password that no variable names."""
    index.password = PASSWORD
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    return index


def address(index: Index, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{index.port}/simple"


def chatty(index: Index) -> None:
    """A package whose build prints everything that it can find of the index's settings."""
    index.add_source(
        "chatty",
        "1.0",
        action="print(os.environ, file=sys.stderr); [print(open(os.path.join(d, n)).read(), file=sys.stderr) "
        "for d, _, names in os.walk(os.path.join(os.environ['HOME'], '..', '..', 'index')) "
        "for n in names if 'pem' not in n]; "
        "sys.exit('no')",
    )


def built_without_a_word(index: Index, order: Order, build_log: Log, settings) -> None:
    """Builds once well and once badly, and looks for the password wherever people or runs could see it."""
    index.add_wheel("leaf", "1.0")
    chatty(index)
    good, bad = environment_build(order("leaf").pk), environment_build(order("chatty").pk)
    assert good.error == ""
    assert bad.state == EnvironmentState.FAILED
    assert "chatty" in bad.error
    for text in (build_log(good), good.lock, build_log(bad), bad.error, str(bad.progress)):
        assert PASSWORD not in text
    if os.geteuid() == 0:
        peek = ["/bin/grep", "-rs", PASSWORD, str(settings.DATA_DIR / "index"), str(settings.DATA_DIR / "tools")]
        found = subprocess.run(peek, user=STRANGER, group=STRANGER, extra_groups=[], capture_output=True, text=True)
        assert found.stdout == ""


def test_pips_own_file_with_a_password(
    private: Index, order: Order, build_log: Log, settings, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {address(private, f'reader:{PASSWORD}@')}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    built_without_a_word(private, order, build_log, settings)


def test_uvs_file_in_the_home_of_the_servers_user_and_its_netrc(
    private: Index, order: Order, build_log: Log, settings, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{address(private)}"\ndefault = true\n')
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login reader password {PASSWORD}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    built_without_a_word(private, order, build_log, settings)


def test_a_file_that_is_named_for_uv(private: Index, order: Order, tmp_path: Path, monkeypatch: Patch) -> None:
    private.add_wheel("leaf", "1.0")
    (tmp_path / "own.toml").write_text(f'index-url = "{address(private, f"reader:{PASSWORD}@")}"\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "own.toml"))
    assert environment_build(order("leaf").pk).error == ""


@pytest.mark.needs("root")
def test_settings_that_are_gone_are_gone_for_builds_too(
    index: Index, order: Order, settings, tmp_path: Path, monkeypatch: Patch
) -> None:
    index.add_wheel("leaf", "1.0")
    (tmp_path / "netrc").write_text(f"machine other.example login me password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    environment_build(order("leaf").pk)
    kept = settings.DATA_DIR / "index" / "netrc"
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o640, 0)
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    environment_build(order("leaf", "leaf>=1").pk)
    assert not kept.exists()


def test_of_an_extra_index_of_pip_the_best_version_is_taken(index: Index, order: Order, monkeypatch: Patch) -> None:
    extra = Index()
    try:
        for name, here, there in (("leaf", "1.0", "2.0"), ("tree", "2.0", "1.0")):
            index.add_wheel(name, here)
            extra.add_wheel(name, there)
        extra.add_wheel("only", "1.0")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", extra.url)
        built = environment_build(order("leaf", "tree", "only").pk)
        assert (built.error, lock_packages(built.lock)) == ("", ["leaf==2.0", "only==1.0", "tree==2.0"])
    finally:
        extra.stop()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Index]:
    """An index whose certificate nobody knows but ``ca.pem``, which only the server's user can read."""
    assert shutil.which("openssl")
    request = ["/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made = [*request, "-days", "2", "-addext"]

    def files(name: str) -> list[str]:
        return ["-subj", f"/CN={name}", "-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]

    signed = ["-CA", str(tmp_path / "ca.pem"), "-CAkey", str(tmp_path / "ca.key")]
    subprocess.run([*made, "keyUsage=keyCertSign", *files("ca")], check=True, capture_output=True)
    host = ["subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run([*made, *host, *signed, *files("host")], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "host.key").read_text() + (tmp_path / "host.pem").read_text())
    served = Index(certificate=str(both))
    yield served
    served.stop()


@pytest.mark.parametrize("variable", ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_of_ones_own_is_trusted(
    index: Index, tls: Index, order: Order, tmp_path: Path, monkeypatch: Patch, variable: str
) -> None:
    tls.add_wheel("leaf", "1.0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", tls.url)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    failed = environment_build(order("leaf").pk)
    assert "cannot be reached at https://127.0.0.1" in failed.error
    assert "certificate" in failed.error
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    assert environment_build(order("leaf").pk).error == ""


def test_a_proxy_is_used_and_its_password_not_shown(
    index: Index, order: Order, build_log: Log, monkeypatch: Patch
) -> None:
    index.add_wheel("leaf", "1.0")
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{index.port}")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://packages.invalid/simple")
    built = environment_build(order("leaf").pk)
    assert built.error == ""
    assert "http://packages.invalid/simple/leaf/" in index.requests
    assert PASSWORD not in build_log(built)


@pytest.fixture
def house(index: Index, open_folder: Path, settings) -> Path:
    """A folder of packages, offline."""
    index.add_wheel("leaf", "1.0")
    index.add_wheel("tree", "1.0", requires=("leaf",))
    folder = open_folder / "house"
    folder.mkdir()
    folder.chmod(0o755)
    for name, content in index.files.items():
        (folder / name).write_bytes(content)
    index.files.clear()
    settings.ENV = replace(settings.ENV, wheelhouse=str(folder))
    return folder


def test_a_folder_of_packages_stands_beside_the_index(index: Index, house: Path, order: Order) -> None:
    index.add_wheel("leaf", "2.0")
    built = environment_build(order("tree").pk)
    assert (built.error, lock_packages(built.lock)) == ("", ["leaf==2.0", "tree==1.0"])


def test_a_folder_of_packages_is_enough_without_any_network(
    index: Index, house: Path, order: Order, monkeypatch: Patch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    built = environment_build(order("tree").pk)
    assert (built.error, lock_packages(built.lock)) == ("", ["leaf==1.0", "tree==1.0"])
    assert str(house) not in built.lock
    assert index.requests == []
    missing = environment_build(order("absent").pk)
    assert "absent" in missing.error


@pytest.mark.needs("root")
def test_a_folder_of_packages_that_builds_cannot_read_is_said(index: Index, house: Path, order: Order) -> None:
    house.chmod(0o700)
    failed = environment_build(order("tree").pk)
    assert f"may not enter {house}" in failed.error
    assert "chmod o+rx" in failed.error
