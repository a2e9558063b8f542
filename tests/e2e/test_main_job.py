"""The main job in a real browser: sign in, submit the example through the form, and watch TensorFlow train."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import CHROMIUM
from tests.e2e.house import ROOT, House

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

SECONDS = 1000


@pytest.fixture
def page(house: House) -> Iterator[Page]:
    """A fresh browser at the platform; fails when a page asks another origin or throws."""
    asked: set[str] = set()
    mistakes: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        yield page
        browser.close()
    foreign = {url for url in asked if urlsplit(url).scheme in ("http", "https") and not url.startswith(house.url)}
    assert foreign == set()
    assert mistakes == []


def test_from_the_form_to_a_finished_run_watched_live(house: House, page: Page):
    page.goto(house.sign_in_path())
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    page.wait_for_url(lambda url: "/link/" not in url)

    page.goto("/runs/new")
    page.locator("[data-folder]").set_input_files(ROOT / "examples" / "digits")
    expect(page.locator("#id_entry_script")).to_have_value("train.py", timeout=20 * SECONDS)
    names = page.locator('[name="script_params.name"]')
    names.first.fill("--epochs")
    page.locator('[name="script_params.value"]').first.fill("12")
    page.locator("#id_pip_packages").fill("scikit-learn")
    page.locator("#id_experiment").fill("browser")
    page.get_by_role("button", name=re.compile("(submit|start|launch)", re.IGNORECASE)).last.click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"), timeout=30 * SECONDS)
    run_id = int(page.url.rstrip("/").rsplit("/", 1)[1])

    head = page.locator("[data-run-page]")
    expect(head).to_contain_text("Running", timeout=120 * SECONDS)

    page.goto(f"/runs/{run_id}/metrics/")
    page.wait_for_function("() => longestCurve() >= 2".replace("longestCurve()", LONGEST_CURVE), timeout=90 * SECONDS)
    before = page.evaluate(LONGEST_CURVE)
    page.wait_for_function(f"(before) => {LONGEST_CURVE} > before", arg=before, timeout=60 * SECONDS)
    assert house.run_row(run_id)["state"] == "running", "the curve moved only after the end"

    page.goto(f"/runs/{run_id}/logs/")
    expect(page.locator("main")).to_contain_text(re.compile(r"Epoch \d+/12"), timeout=20 * SECONDS)
    assert house.run_row(run_id)["state"] == "running", "the log came only after the end"

    expect(head).to_contain_text("Completed", timeout=180 * SECONDS)
    house.wait_ended(run_id)
    page.goto(f"/runs/{run_id}/files/")
    expect(page.locator("main")).to_contain_text("model.keras")
    value = house.row("SELECT max_value FROM runs_series WHERE run_id = ? AND name = 'val_accuracy'", run_id)
    assert value["max_value"] > 0.9


#: The number of points of the longest curve that is drawn on the page.
LONGEST_CURVE = (
    "Math.max(0, ...[...document.querySelectorAll('.js-plotly-plot')]"
    ".flatMap((plot) => (plot.data || []).map((trace) => (trace.x || []).length)))"
)
