import pytest

from runs.environments import progress as progresses
from runs.environments.horovod.making import CompileProgress, made_percent
from runs.environments.progress import HOROVOD_PHASES, PHASES, Progress
from runs.models import Environment


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("  [  4%] Building CXX object third_party/gloo/CMakeFiles/gloo.dir/gloo/algorithm.cc.o", 4),
        ("  [ 45%] Building CXX object horovod/tensorflow/CMakeFiles/tensorflow.dir/mpi_ops.cc.o", 45),
        ("[100%] Linking CXX shared library mpi_lib.so", 100),
        ("[ 33%] Built target gloo", 33),
        ("  cd /build && /usr/bin/c++ -DHAVE_MPI=1 -o x.o", None),
        ("-- Found MPI: TRUE (found version 3.1)", None),
        ("  [999%] Building", 100),
    ],
)
def test_make_says_how_far_it_is(line: str, percent: int | None) -> None:
    assert made_percent(line) == percent


def test_the_percentages_of_make_become_those_of_the_build_and_never_go_back(
    mpi_order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progresses, "INTERVAL_S", 0.0)
    environment = mpi_order()
    says = CompileProgress(Progress(environment))
    told = []
    for line in ("[  2%] Building a", "[ 50%] Building b", "[ 30%] Building c", "[100%] Built target tensorflow"):
        assert says.line(line)
        told.append(Environment.objects.get(pk=environment.pk).progress)
    assert [each["label"] for each in told] == ["Compiling Horovod"] * 4
    assert [each["done"] for each in told] == [2, 50, 50, 100]
    assert [each["percent"] for each in told] == [4, 38, 38, 74]


def test_only_environments_with_horovod_have_its_phase() -> None:
    assert "horovod" not in PHASES
    assert sorted(HOROVOD_PHASES.values()) == list(HOROVOD_PHASES.values())


def test_nobody_has_to_listen() -> None:
    says = CompileProgress(None)
    says.phase("Compiling Horovod")
    assert says.line("[ 50%] Building b")
