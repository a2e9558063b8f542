"""Where packages come from when an environment is ordered: channels, PyPI in their place, or nowhere."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from compute.backends.base import ComputeBackend
from compute.models import ComputeTarget
from runs.environments import advice_before, advice_on, environment_request, environment_spec
from runs.environments.conda.reach import conda_reachability
from runs.environments.interpreters import Interpreter
from runs.environments.realised import mark_write
from runs.environments.request import environment_order, spec_digest
from runs.errors import EnvironmentFailed
from runs.models import Environment
from runs.spec import RunSpec
from runs.states import EnvironmentState
from tests.runs.environments.conda.channel import Channel

Described = Callable[..., dict[str, Any]]


@pytest.fixture
def configure(settings) -> Callable[..., None]:
    def change(**values: object) -> None:
        env = settings.ENV
        settings.ENV = env.__class__(**{name: getattr(env, name) for name in env.__slots__} | values)

    return change


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a channel on a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}/lab"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a channel that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.append(server.accept()[0]), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/lab"
        for connection in held:
            connection.close()


@pytest.fixture
def describe(backend: ComputeBackend) -> Described:
    def make(**fields: Any) -> dict[str, Any]:
        return environment_spec(RunSpec(**fields), backend)

    return make


def test_a_channel_that_answers_is_where_packages_come_from(
    channel: Channel, configure: Callable[..., None], describe: Described, interpreter: Interpreter
) -> None:
    configure(conda_channels=(channel.url,))
    found = describe(conda_packages=("scipy", "numpy=1.26", f"python={interpreter.minor}"))
    assert found["conda"] == {
        "channels": [channel.url],
        "packages": ["numpy 1.26.*", "scipy"],
        "python": [f"{interpreter.minor}.*"],
        "pythons": [interpreter.minor],
    }
    assert found["packages"] == []
    assert describe(conda_packages=("numpy =1.26", "scipy ", f"python={interpreter.minor}")) == found


def test_a_run_without_conda_is_described_as_before(describe: Described) -> None:
    assert "conda" not in describe(pip_packages=("six",))


def test_where_no_channel_answers_packages_come_from_pypi_and_each_is_named(
    nobody: str, configure: Callable[..., None], describe: Described, channel: Channel
) -> None:
    configure(conda_channels=(nobody,))
    found = describe(conda_packages=("numpy=1.26", "cudatoolkit"), pip_packages=("six",))
    assert found["packages"] == ["numpy==1.26.*", "six"]
    assert advice_on(found, legacy_keras=False) == [
        "No conda channel could be reached, so packages come from PyPI.",
        "cudatoolkit from conda is left out: TensorFlow for GPUs brings CUDA.",
        "numpy 1.26.* from conda is taken from PyPI as numpy==1.26.*.",
    ]
    configure(conda_channels=(nobody, channel.url))
    reached = describe(conda_packages=("numpy=1.26", "cudatoolkit"), pip_packages=("six",))
    assert "instead" not in reached["conda"]
    assert spec_digest(reached) != spec_digest(found)


def test_an_environment_that_is_there_is_taken_while_no_channel_answers(
    nobody: str, configure: Callable[..., None], target: ComputeTarget, backend: ComputeBackend, open_folder: Path
) -> None:
    configure(conda_channels=(nobody,), conda_fallback="off")
    spec = RunSpec(conda_packages=("samtools",))
    canonical = environment_spec(spec, backend, is_there=lambda found: True)
    built = environment_order(canonical, target)
    with pytest.raises(EnvironmentFailed, match=r"No conda channel can be reached"):
        environment_request(spec, target, backend)
    (open_folder / "bin").mkdir()
    (open_folder / "bin" / "python").symlink_to("/bin/true")
    mark_write(open_folder, {"digest": built.digest, "folders": {}})
    place = {"path": str(open_folder), "lock": "tiny==1.0\n", "state": EnvironmentState.READY}
    Environment.objects.filter(pk=built.pk).update(**place)
    assert environment_request(spec, target, backend).pk == built.pk


def test_where_no_channel_answers_and_none_may_stand_in_it_is_an_error(
    nobody: str, configure: Callable[..., None], describe: Described
) -> None:
    configure(conda_channels=(nobody,), conda_fallback="off")
    with pytest.raises(
        EnvironmentFailed, match=r"No conda channel can be reached \(.*Connection refused.*\)"
    ) as raised:
        describe(conda_packages=("numpy",))
    assert "name the packages under pip packages" in str(raised.value)


def test_a_package_that_pypi_does_not_have_is_named(
    nobody: str, configure: Callable[..., None], describe: Described
) -> None:
    configure(conda_channels=(nobody,))
    with pytest.raises(EnvironmentFailed, match=r"For samtools from conda no package of PyPI is known"):
        describe(conda_packages=("numpy", "samtools"))


def test_a_channel_that_its_host_does_not_have_is_an_error_in_any_case(
    configure: Callable[..., None], describe: Described, open_folder: Path
) -> None:
    configure(conda_channels=((open_folder / "nowhere").as_uri(),))
    with pytest.raises(EnvironmentFailed, match=r"There is no conda channel 'file:///.*/nowhere'"):
        describe(conda_packages=("numpy",))


def test_a_channel_that_says_nothing_is_waited_for_within_limits(
    silent: str, backend: ComputeBackend, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.environments.conda.reach.TIMEOUT_S", 0.3)
    (answer,) = conda_reachability(backend, interpreter.path, [silent])
    assert not answer.is_there
    assert not answer.is_absent
    assert answer.reason in ("timed out", "no answer within 0.3 s")


@pytest.mark.parametrize(
    ("status", "is_there", "is_absent", "reason"),
    [
        (200, True, False, ""),
        (401, True, False, ""),
        (403, False, False, "it answers 403 Forbidden"),
        (404, False, True, "it answers 404 Not Found"),
        (503, False, False, "it answers 503 Service Unavailable"),
    ],
)
def test_what_a_channels_host_answers_is_understood(
    backend: ComputeBackend, interpreter: Interpreter, status: int, is_there: bool, is_absent: bool, reason: str
) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/lab"
        (answer,) = conda_reachability(backend, interpreter.path, [address])
        server.shutdown()
    assert (answer.is_there, answer.is_absent, answer.reason) == (is_there, is_absent, reason)


def test_a_python_that_tensorflow_does_not_run_on_is_refused_before_anything_is_asked(describe: Described) -> None:
    with pytest.raises(EnvironmentFailed, match=r"ask for python 3\.8\.\*, and TensorFlow .* runs on Python 3\.10, "):
        describe(conda_packages=("python=3.8",))


def test_tensorflow_named_among_condas_packages_is_a_pin(
    channel: Channel, configure: Callable[..., None], describe: Described
) -> None:
    configure(conda_channels=(channel.url,))
    found = describe(conda_packages=("tensorflow-gpu=2.18", "numpy"))
    assert found["framework"]["requirements"] == ["tensorflow==2.18.*"]
    assert found["framework"]["pinned_by"] == "user"
    assert found["conda"]["packages"] == ["numpy"]
    advice = advice_before(RunSpec(conda_packages=("tensorflow-gpu=2.18", "numpy")), None)
    assert "tensorflow-gpu (conda packages) is not installed from conda: TensorFlow comes from PyPI" in advice[0]


def test_a_conda_file_is_described_with_its_pip_list(
    channel: Channel, configure: Callable[..., None], backend: ComputeBackend
) -> None:
    configure(conda_channels=("conda-forge", channel.url))
    text = f"channels: [{channel.url}]\ndependencies:\n  - numpy\n  - pip:\n    - six>=1\n    - -r more.txt\n".encode()
    files = {"envs/e.yml": text, "envs/more.txt": b"-c limits.txt\n", "envs/limits.txt": b"wrapt<2\n"}
    spec = RunSpec(conda_dependencies_file="envs/e.yml")
    found = environment_spec(spec, backend, lambda path, size: files.get(path))
    assert found["conda"]["channels"] == [channel.url]
    assert found["conda"]["packages"] == ["numpy"]
    assert found["packages"] == ["six>=1"]
    assert found["constraints"] == ["wrapt<2"]
