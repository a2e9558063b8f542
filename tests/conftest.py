"""What many tests share: a real Redis, a Python with TensorFlow, two people, and a word for missing parts."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"


def missing(what: str) -> None:
    """Skips the test for the want of ``what``; fails it where ``TRAINHOUSE_CI=1`` says that nothing may be missing."""
    if os.environ.get("TRAINHOUSE_CI") == "1":
        pytest.fail(f"missing here, where nothing may be: {what}", pytrace=False)
    pytest.skip(f"needs {what}")


#: What ``@pytest.mark.needs(...)`` may name: whether it is here, and its words.
PARTS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (lambda: os.geteuid() == 0, "to run as root"),
    "chromium": (lambda: Path(CHROMIUM).exists(), f"a browser at {CHROMIUM} (Debian's package chromium)"),
    "git": (lambda: shutil.which("git") is not None, "git"),
    "make": (lambda: shutil.which("make") is not None, "make"),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(part, ...): what the test cannot do without: " + ", ".join(PARTS))
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "horovod_python" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(900))  # the first of them compiles Horovod


def pytest_unconfigure() -> None:
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.fixture(autouse=True)
def _needed_parts(request: pytest.FixtureRequest) -> None:
    for marker in request.node.iter_markers("needs"):
        for name in marker.args:
            is_here, words = PARTS[name]
            if not is_here():
                missing(words)


@pytest.fixture(autouse=True)
def _fresh_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No logs and no remembered tasks of the test before: a database that is rolled back gives the same ids again."""
    monkeypatch.setattr("runs.ingest.facts._kept", {})
    monkeypatch.setattr("runs.ingest.facts._heartbeats", {})
    yield
    shutil.rmtree(settings.DATA_DIR / "logs", ignore_errors=True)


@pytest.fixture(scope="session")
def needs() -> Callable[[object, str], None]:
    """``needs(condition, "words for the part")`` for parts that only the test itself can look for."""

    def check(present: object, what: str) -> None:
        if not present:
            missing(what)

    return check


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the users of runs can pass through; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="th-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real Redis at ``settings.REDIS_URL``, for the whole session. Its address."""
    from config.env import Env
    from config.secrets import runtime_dir
    from config.up import redis_server as embedded

    runtime = runtime_dir(Env(data_dir=settings.DATA_DIR))
    server = subprocess.Popen(embedded.redis_command(data_dir=settings.DATA_DIR, runtime_dir=runtime))
    try:
        embedded.wait_until_ready(embedded.socket_path(runtime), is_alive=lambda: server.poll() is None)
        yield settings.REDIS_URL
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def training_python() -> Path:
    """A Python with TensorFlow, tf_keras and scikit-learn that unprivileged users can run too.

    Installed once from requirements/training.txt; later sessions find it.
    """
    command = [sys.executable, str(ROOT / "requirements" / "install.py"), "training"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, "the training environment could not be installed; its output is above"
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def horovod_python(training_python: Path) -> Path:
    """A Python with the training environment's TensorFlow, Horovod and the platform's module beside it, that
    unprivileged users can run too. Horovod is compiled once, by the platform's own recipe; later sessions find it."""
    from tests.horovod import horovod_install

    return horovod_install(training_python)


@pytest.fixture
def admin(db, django_user_model):
    """An administrator, password ``correct horse``."""
    return django_user_model.objects.create_user("admin", password="correct horse", is_staff=True, is_superuser=True)


@pytest.fixture
def member(db, django_user_model):
    """Someone who may sign in and is no administrator, password ``correct horse``."""
    return django_user_model.objects.create_user("member", password="correct horse")
