"""``from trainhouse import Run``: what a script logs becomes one line each; mistakes are named in sentences."""

import json
import math
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest

from trainhouse import Run

SDK = Path(__file__).parents[2] / "sdk"


class Live:
    def __init__(self, root, monkeypatch):
        self.points = root / "spool" / "points"
        self.uploads = root / "uploads"
        self.points.parent.mkdir()
        self.uploads.mkdir()
        for name, value in {
            "TRAINHOUSE_POINTS": str(self.points),
            "TRAINHOUSE_UPLOADS": str(self.uploads),
            "TRAINHOUSE_RUN_ID": "17",
            "TRAINHOUSE_RUN_NAME": "brave train",
            "TRAINHOUSE_EXPERIMENT": "digits",
            "TRAINHOUSE_RUN_NUMBER": "4",
        }.items():
            monkeypatch.setenv(name, value)
        self.run = Run.get_context()

    def records(self):
        return [json.loads(line) for line in self.points.read_text().splitlines()]


@pytest.fixture
def live(tmp_path, monkeypatch):
    return Live(tmp_path, monkeypatch)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.delenv("TRAINHOUSE_POINTS", raising=False)
    return Run.get_context()


def test_the_run_knows_who_it_is(live):
    assert (live.run.id, live.run.name, live.run.experiment, live.run.number) == ("17", "brave train", "digits", 4)


def test_a_number_becomes_a_point(live):
    live.run.log("loss", 0.5)
    live.run.log("Genauigkeit 🚂", 3, step=7)

    first, second = live.records()
    assert (first["k"], first["n"], first["s"], first["v"]) == ("point", "loss", None, 0.5)
    assert (second["n"], second["s"], second["v"]) == ("Genauigkeit 🚂", 7, 3.0)
    assert first["t"] > 1e9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_kept(live, value):
    live.run.log("loss", value)

    kept = live.records()[0]["v"]
    assert kept == value or (math.isnan(kept) and math.isnan(value))


@pytest.mark.parametrize(
    "value",
    [numpy.float32(2), numpy.int64(2), numpy.array([[2.0]]), numpy.array(2), True + 1, numpy.float16(2)],
    ids=repr,
)
def test_scalars_of_numpy_are_numbers(live, value):
    live.run.log("x", value)

    assert live.records()[0]["v"] == 2.0


def test_a_tensor_is_asked_for_its_number(live):
    class Tensor:
        def numpy(self):
            return numpy.float32(1.5)

    live.run.log("x", Tensor(), step=numpy.int32(3))

    assert (live.records()[0]["v"], live.records()[0]["s"]) == (1.5, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((3, 1.0), TypeError, "The name must be a string, not int: 3."),
        (("", 1.0), ValueError, "The name is empty."),
        (("x" * 251, 1.0), ValueError, "at most 250 are allowed"),
        (("a\nb", 1.0), ValueError, "holds a control character"),
        (("\ud800", 1.0), ValueError, "holds a control character"),
        (("x", None), TypeError, "must be one number, not NoneType"),
        (("x", [1, 2]), TypeError, "use log_list or log_table"),
        (("x", numpy.zeros((2, 3))), TypeError, r"not ndarray of shape \(2, 3\)"),
        (("x", 1j), TypeError, "must be one number, not complex"),
        (("x", 10**400), ValueError, "too large for a 64-bit"),
        (("x", 1, 1.5), TypeError, "step must be a whole number or None, not 1.5"),
        (("x", 1, "3"), TypeError, "step must be a whole number or None, not '3'"),
        (("x", 1, 2**60), ValueError, "out of range"),
    ],
)
def test_a_mistake_is_named_in_a_sentence_and_nothing_is_written(live, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        live.run.log(*arguments)

    assert not live.points.exists()


def test_text_lists_rows_and_tables_are_records(live):
    live.run.log("note", "fine")
    live.run.log_list("sizes", numpy.array([1, 2]))
    live.run.log_row("confusion", name="cat", right=numpy.int64(3), share=0.5)
    live.run.log_table("roc", {"fpr": [0.0, 1.0], "tpr": numpy.array([0.0, 1.0]), "label": ["a", None]})

    assert [(record["k"], record["n"], record["d"]) for record in live.records()] == [
        ("text", "note", {"text": "fine"}),
        ("list", "sizes", {"values": [1, 2]}),
        ("row", "confusion", {"name": "cat", "right": 3, "share": 0.5}),
        ("table", "roc", {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "label": ["a", None]}),
    ]


def test_tables_that_are_none_are_refused(live):
    with pytest.raises(ValueError, match=r"differ in length: \{'x': 2, 'y': 3\}"):
        live.run.log_table("t", {"x": [1, 2], "y": [1, 2, 3]})
    with pytest.raises(TypeError, match="A table is a dictionary of columns"):
        live.run.log_table("t", [1, 2])
    with pytest.raises(ValueError, match="at least one column"):
        live.run.log_row("t")
    with pytest.raises(ValueError, match="Save it as a file in"):
        live.run.log_list("t", range(200_000))


def test_tags_are_texts(live):
    live.run.tag("baseline")
    live.run.set_tags({"dataset": "v2", "fold": 3})

    assert [record["d"] for record in live.records()] == [{"baseline": ""}, {"dataset": "v2", "fold": "3"}]
    with pytest.raises(ValueError, match="The value of the tag 'k' has 101 characters; at most 100"):
        live.run.tag("k", "x" * 101)


def test_files_are_copied_at_once(live, tmp_path):
    source = tmp_path / "model.bin"
    source.write_bytes(b"first")
    live.run.upload_file("models/./best.bin", source)
    source.write_bytes(b"changed later")

    assert (live.uploads / "models" / "best.bin").read_bytes() == b"first"
    live.run.upload_file("models/best.bin", str(source))
    assert (live.uploads / "models" / "best.bin").read_bytes() == b"changed later"
    assert [path.name for path in live.uploads.rglob("*") if path.is_file()] == ["best.bin"]


def test_a_folder_is_copied_with_what_lies_below(live, tmp_path):
    (tmp_path / "saved" / "deep").mkdir(parents=True)
    (tmp_path / "saved" / "a").write_text("a")
    (tmp_path / "saved" / "deep" / "b").write_text("b")
    live.run.upload_folder("export", tmp_path / "saved")

    assert (live.uploads / "export" / "a").read_text() + (live.uploads / "export" / "deep" / "b").read_text() == "ab"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", ".", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(live, tmp_path, name):
    with pytest.raises(ValueError, match="upload"):
        live.run.upload_file(name, __file__)

    assert list(live.uploads.iterdir()) == []


def test_sources_that_are_not_there_are_named(live, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is nothing at 'nowhere'"):
        live.run.upload_file("x", "nowhere")
    with pytest.raises(ValueError, match="Use upload_folder for a folder"):
        live.run.upload_file("x", tmp_path)
    with pytest.raises(ValueError, match="Use upload_file for a file"):
        live.run.upload_folder("x", __file__)


def test_images_are_kept_and_numbered(live, tmp_path):
    (tmp_path / "shot.PNG").write_bytes(b"png")

    class Figure:
        def savefig(self, path, format):
            Path(path).write_bytes(b"drawn")

    live.run.log_image("my plot/1", path=tmp_path / "shot.PNG")
    live.run.log_image("my plot/1", plot=Figure())

    assert [record["d"]["path"] for record in live.records()] == [
        "uploads/images/my-plot-1-1.png",
        "uploads/images/my-plot-1-2.png",
    ]
    assert (live.uploads / "images" / "my-plot-1-2.png").read_bytes() == b"drawn"
    with pytest.raises(ValueError, match="either path= or plot="):
        live.run.log_image("x")


def test_threads_write_whole_lines(live):
    def work(number):
        for index in range(200):
            live.run.log_list(f"t{number}", ["x" * 500, index])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    seen = [record["d"]["values"][1] for record in live.records() if record["n"] == "t3"]
    assert len(live.records()) == 1600
    assert seen == list(range(200))


def test_forked_children_write_whole_lines_even_if_a_thread_was_writing(live):
    live.run.log("parent", 1)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_log_some, args=(live.run, number)) for number in range(4)]
    for child in children:
        child.start()
    _log_some(live.run, 9)
    for child in children:
        child.join(20)

    assert [child.exitcode for child in children] == [0] * 4
    assert len(live.records()) == 1 + 5 * 100


def _log_some(run, number):
    for _ in range(100):
        run.log_list(f"child {number}", ["y" * 20_000])


def test_a_full_disk_is_told_once_and_never_raised(live, monkeypatch, capfd):
    monkeypatch.setenv("TRAINHOUSE_POINTS", "/dev/full")
    run = Run.get_context()
    for _ in range(3):
        run.log("loss", 1.0)

    assert capfd.readouterr().err == "trainhouse: metrics are being lost: No space left on device.\n"


def test_off_the_platform_it_prints_and_checks_the_same_rules(offline, capfd):
    offline.log("loss", 0.25, step=3)
    offline.log_row("table", a=1)
    offline.tag("x", "y")
    offline.upload_file("me", __file__)

    assert capfd.readouterr().out.splitlines() == [
        "[trainhouse, offline] loss = 0.25 (step 3)",
        "[trainhouse, offline] row table {'a': 1}",
        "[trainhouse, offline] tags {'x': 'y'}",
        f"[trainhouse, offline] file me from {__file__}",
    ]
    assert (offline.id, offline.name, offline.experiment, offline.number) == ("offline", "", "", None)
    with pytest.raises(TypeError, match="must be one number"):
        offline.log("loss", None)


def test_a_script_may_insist_on_the_platform(monkeypatch):
    monkeypatch.delenv("TRAINHOUSE_POINTS", raising=False)
    with pytest.raises(RuntimeError, match="does not run on Trainhouse"):
        Run.get_context(allow_offline=False)


def test_points_logged_in_a_task_reach_the_server(server, make_task):
    task = make_task(
        "from trainhouse import Run\nrun = Run.get_context()\n"
        "for step in range(1000): run.log('loss', 1 / (step + 1), step=step)\nprint(run.id)",
        environ={"PYTHONPATH": str(SDK), "TRAINHOUSE_RUN_ID": "17"},
    )
    task.run()

    points = server.lines("points")
    assert [point["s"] for point in points] == list(range(1000))
    assert bytes(server.streams["output"]) == b"17\n"


def test_importing_the_package_loads_nothing_else():
    code = "import sys; before = set(sys.modules); import trainhouse; print(set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SDK)}
    )
    assert done.stdout.strip() == "{'trainhouse'}"
