"""The pure parts of the run page's scripts, evaluated by the browser that runs them."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, sync_playwright

from runs.templatetags.look import duration
from tests.conftest import CHROMIUM, ROOT

pytestmark = pytest.mark.needs("chromium")

ORIGIN = "http://scripts.test"


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[..., Any]]:
    """``script("rules.js", "m => m.finalClose(4401)", argument)``: an expression over a module's exports."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(body="<!doctype html><title>scripts</title>", content_type="text/html")
        else:
            route.fulfill(path=ROOT / path.lstrip("/"), content_type="text/javascript")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route(f"{ORIGIN}/**", serve)
        page.goto(f"{ORIGIN}/")

        def evaluate(module: str, expression: str, argument: Any = None) -> Any:
            code = f"async (argument) => ({expression})(await import('/static/js/run/{module}'), argument)"
            return page.evaluate(code, argument)

        yield evaluate
        browser.close()


def test_reconnection_waits_between_half_a_second_and_thirty(script):
    delays = script(
        "rules.js", "m => [...Array(15).keys()].map((n) => [m.backoffMs(n, () => 0), m.backoffMs(n, () => 0.999999)])"
    )
    assert all(low == 500 for low, _ in delays)
    assert [high for _, high in delays[:4]] == [1000, 2000, 4000, 8000]
    assert max(high for _, high in delays) == 30_000


@pytest.mark.parametrize("code", [4401, 4403, 4404])
def test_the_page_says_why_it_does_not_come_back(script, code: int):
    assert script("rules.js", "(m, code) => m.finalClose(code)", code)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1013])
def test_every_other_loss_is_mended(script, code: int):
    assert script("rules.js", "(m, code) => m.finalClose(code)", code) is None


@pytest.mark.parametrize(
    ("cursor", "first", "end", "verdict"),
    [(10, 10, 20, "take"), (10, 10, 10, "tail"), (10, 0, 10, "drop"), (10, 0, 20, "again"), (10, 11, 20, "again")],
)
def test_a_log_frame_is_taken_only_where_it_continues(script, cursor: int, first: int, end: int, verdict: str):
    frame = {"from": first, "to": end}
    assert script("rules.js", "(m, a) => m.judgeLog(a.cursor, a.frame)", {"cursor": cursor, "frame": frame}) == verdict


def test_whatever_frames_come_every_point_is_taken_once_and_in_order(script):
    """Frames of points overlap, repeat and leave gaps; a gap is asked for again from the cursor."""
    chance = random.Random(7)
    frames = [[chance.randrange(100), chance.randrange(1, 30)] for _ in range(2000)]
    taken = script(
        "rules.js",
        """(m, frames) => {
          const taken = [];
          let cursor = 0;
          for (let [from, size] of frames) {
            let first = m.firstNew(cursor, from, size);
            if (first < 0) { from = cursor; first = m.firstNew(cursor, from, size); }
            for (let place = first; place < size; place += 1) taken.push(from + place);
            cursor = Math.max(cursor, from + size);
          }
          return taken;
        }""",
        frames,
    )
    assert taken == list(range(len(taken)))
    assert len(taken) >= 100


@pytest.mark.parametrize("rows", [1, 40, 1000, 300_000, 300_001, 1_000_000, 50_000_000])
def test_every_line_can_be_scrolled_to(script, rows: int):
    """From the top line to the scroll bar and back, within a line where a pixel stands for more than one."""
    result = script(
        "scroll_map.js",
        """(m, rows) => {
          const view = 600, last = m.lastTop(rows, view);
          const height = m.contentHeight(rows, view);
          const back = [0, last / 3, last].map((top) => m.topAt(m.scrollAt(top, rows, view), rows, view) - top);
          return {height, worst: Math.max(...back.map(Math.abs)), end: m.topAt(height - view, rows, view), last};
        }""",
        rows,
    )
    assert result["height"] <= 6_000_000
    assert result["worst"] < 0.001
    assert result["end"] == pytest.approx(result["last"])


def test_smoothing_keeps_a_level_its_first_value_and_its_gaps(script):
    smoothed = script("curve.js", "m => m.smoothed([2, 2, null, 2], 0.9)")
    assert smoothed == pytest.approx([2, 2, None, 2])
    assert script("curve.js", "m => m.smoothed([0, 1], 0.5)") == pytest.approx([0, 2 / 3])
    assert script("curve.js", "m => m.smoothed([3, 1, 4], 0)") == [3, 1, 4]


def test_a_curve_counts_what_is_not_finite_and_where_it_goes_on(script):
    curve = script(
        "curve.js",
        """m => {
          const curve = new m.Curve();
          curve.set({steps: [0], times: [5], values: [1], count: 1000, not_finite: 0});
          curve.add({from: 999, steps: [9, 10, 11], times: [6, 7, 8], values: [9, null, 3]}, 1);
          return {values: curve.values, next: curve.next, notFinite: curve.notFinite,
                  relative: m.across(curve, "relative", 5)};
        }""",
    )
    assert curve == {"values": [1, None, 3], "next": 1002, "notFinite": 1, "relative": [0, 2, 3]}


def test_a_point_without_neighbours_is_drawn_as_a_dot(script):
    assert script("curve.js", "m => m.markerSizes([1, null, 2, 3], 6)") == [6, 0, 0, 0]


def test_the_table_joins_curves_by_step_newest_first(script):
    rows = script(
        "curve.js",
        """m => {
          const [a, b] = [new m.Curve(), new m.Curve()];
          a.set({steps: [1, 2], times: [0, 0], values: [0.5, 0.25], count: 2, not_finite: 0});
          b.set({steps: [2], times: [0], values: [null], count: 1, not_finite: 1});
          return m.tableRows([a, b], 10).map((row) => row.map((one) => one === undefined ? "none" : one));
        }""",
    )
    assert rows == [[2, 0.25, None], [1, 0.5, "none"]]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.21, "4.2 s"), (59, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min"), (273600, "3 d 4 h")],
)
def test_durations_are_spelled_as_the_server_spells_them(script, seconds: float, words: str):
    assert script("format.js", "(m, seconds) => m.duration(seconds)", seconds) == words == duration(seconds)


def test_a_coloured_line_becomes_classes_and_nothing_else(script):
    html = script(
        "ansi.js",
        r"""(m) => {
          const box = document.createElement("div");
          box.append(m.lineFragment("\x1b[31m<img src=x onerror=alert(1)>\x1b[0m \x1b]8;;http://evil.test\x07link\x1b]8;;\x07"));
          return {images: box.querySelectorAll("img").length, links: box.querySelectorAll("a").length,
                  red: box.querySelector(".ansi-red-fg").textContent};
        }""",
    )
    assert html == {"images": 0, "links": 0, "red": "<img src=x onerror=alert(1)>"}


def mean_of(script, *curves: tuple[list[float], list[float | None]]) -> list[list[float | None]]:
    made = [{"steps": steps, "values": values} for steps, values in curves]
    code = """(m, made) => {
        const mean = m.meanCurve(made.map((one) => ({ ...one, length: one.values.length })), "steps");
        return [mean.steps, mean.values];
    }"""
    return script("mean.js", code, made)


def test_the_mean_of_curves_at_the_same_steps_is_theirs_at_every_step(script):
    assert mean_of(script, ([1, 2, 3], [1, 2, 3]), ([1, 2, 3], [3, 4, 5])) == [[1, 2, 3], [2, 3, 4]]


def test_a_curve_counts_in_the_mean_between_its_points_and_not_beyond_them(script):
    steps, values = mean_of(script, ([0, 4], [0, 4]), ([2], [10]), ([6], [1]))
    assert (steps, values) == ([0, 2, 4, 6], [0, 6, 4, 1])


def test_gaps_are_left_out_of_the_mean(script):
    assert mean_of(script, ([1, 2, 3], [1, None, 3]), ([1, 2, 3], [3, 5, None]))[1] == [2, 5, 3]
    assert mean_of(script, ([1], [None]))[1] == [None]
    assert mean_of(script, ([], []), ([1], [7])) == [[1], [7]]
