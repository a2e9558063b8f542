"""The run page in a real browser, against a real server: what is stored appears, once, in order, and for everyone."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import CHROMIUM
from tests.runs.run_page.theatre import Theatre

pytestmark = pytest.mark.needs("chromium")

TABS = ("", "metrics/", "system/", "logs/", "files/", "events/")
SOON_MS = 10_000

#: A drawn curve; the legend has lines of its own.
LINE = ".scatterlayer path.js-line"


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    theatre = Theatre()
    yield theatre
    theatre.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, theatre: Theatre) -> Iterator[Page]:
    """Ada's window. Fails the test for an error of a script and for a request to another origin."""
    yield from window(browser, theatre)


@pytest.fixture(params=["light", "dark"])
def themed_page(request: pytest.FixtureRequest, browser: Browser, theatre: Theatre) -> Iterator[Page]:
    yield from window(browser, theatre, color_scheme=request.param)


def window(browser: Browser, theatre: Theatre, **options) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=theatre.url, **options)
    context.add_cookies([{"name": "sessionid", "value": theatre.session, "url": theatre.url}])
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
    page.on("request", lambda request: own(request.url, theatre) or wrong.append(request.url))
    yield page
    context.close()
    assert wrong == []


def own(url: str, theatre: Theatre) -> bool:
    return url.startswith((theatre.url, theatre.url.replace("http", "ws"), "data:", "blob:"))


def is_live(page: Page) -> None:
    expect(page.locator("[data-live]")).to_have_attribute("data-status", "live", timeout=SOON_MS)


def words(page: Page) -> list[str]:
    return page.locator("[data-log-viewer] .words").all_inner_texts()


def test_a_printed_line_is_painted_and_an_unfinished_one_is_replaced(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    page.goto(f"/runs/{run['run']}/logs/")
    is_live(page)
    theatre.do("log", run=run["run"], output=run["output"], text="hello\n\x1b[31mred <b>bold</b>\x1b[0m\n 1/10")
    viewer = page.locator("[data-log-viewer]")
    expect(viewer.locator(".row")).to_have_text(["1hello", "2red <b>bold</b>", "3 1/10"], timeout=SOON_MS)
    expect(viewer.locator(".ansi-red-fg")).to_have_text("red <b>bold</b>")
    theatre.do("log", run=run["run"], output=run["output"], text="\r 2/10")
    expect(viewer.locator(".row").last).to_have_text("3 2/10", timeout=SOON_MS)


def test_a_line_is_painted_within_the_promised_time(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    page.goto(f"/runs/{run['run']}/logs/")
    is_live(page)
    for number in range(5):
        theatre.do("log", run=run["run"], output=run["output"], text=f"beat {number}\n")
        expect(page.locator("[data-log-viewer]")).to_contain_text(f"beat {number}", timeout=1200)


def test_a_curve_moves_while_the_page_is_open(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/metrics/")
    card = page.locator('[data-chart="metric:loss"]')
    line = card.locator(LINE).first
    expect(line).to_have_count(1, timeout=SOON_MS)
    before = line.get_attribute("d")
    is_live(page)
    theatre.do("points", run=run["run"], task=run["task"], name="loss", rows=[[4, 0.125], [5, 0.0625]])
    expect(card.locator("[data-label]").first).to_have_text("0.0625", timeout=SOON_MS)
    expect(line).not_to_have_attribute("d", before or "")
    expect(card.locator("[data-note]")).to_have_text("1 value is not finite.")


def test_a_metric_that_is_new_gets_its_chart(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/metrics/")
    is_live(page)
    theatre.do("points", run=run["run"], task=run["task"], name="accuracy", rows=[[1, 0.5], [2, 0.75]])
    card = page.locator('[data-chart="metric:accuracy"]')
    expect(card.locator(LINE)).to_have_count(1, timeout=SOON_MS)
    theatre.do("points", run=run["run"], task=run["task"], name="val_accuracy", rows=[[1, 0.5], [2, 0.625]])
    expect(card.locator(LINE)).to_have_count(2, timeout=SOON_MS)
    theatre.do("points", run=run["run"], task=run["task"], name="val_accuracy", rows=[[3, 0.875]])
    expect(card.locator("[data-label]").last).to_have_text("0.875", timeout=SOON_MS)


def test_after_the_server_was_killed_no_line_is_missing_and_none_comes_twice(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    page.goto(f"/runs/{run['run']}/logs/")
    is_live(page)

    def say(first: int, end: int) -> None:
        for number in range(first, end):
            theatre.do("log", run=run["run"], output=run["output"], text=f"n{number}\n")

    say(0, 5)
    expect(page.locator("[data-log-viewer] .row")).to_have_count(5, timeout=SOON_MS)
    theatre.kill_web()
    expect(page.locator("[data-live]")).to_have_attribute("data-status", "reconnecting", timeout=SOON_MS)
    say(5, 10)
    theatre.open()
    say(10, 15)
    expect(page.locator("[data-log-viewer] .row")).to_have_count(15, timeout=40_000)
    assert words(page) == [f"n{number}" for number in range(15)]
    is_live(page)


def test_after_the_server_was_killed_the_curve_has_every_point_once(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    theatre.do("points", run=run["run"], task=run["task"], name="loss", rows=[[1, 1.0], [2, 2.0]])
    page.goto(f"/runs/{run['run']}/metrics/")
    card = page.locator('[data-chart="metric:loss"]')
    expect(card.locator("[data-plot]")).to_have_attribute("data-points", "2", timeout=SOON_MS)
    is_live(page)
    theatre.kill_web()
    theatre.do("points", run=run["run"], task=run["task"], name="loss", rows=[[3, 3.0]])
    theatre.open()
    theatre.do("points", run=run["run"], task=run["task"], name="loss", rows=[[4, 4.0]])
    expect(card.locator("[data-plot]")).to_have_attribute("data-points", "4", timeout=40_000)
    card.locator("summary").click()
    rows = card.locator("tbody tr")
    expect(rows).to_have_text(["44", "33", "22", "11"])


def test_while_paused_nothing_moves_and_afterwards_nothing_is_missing(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    page.goto(f"/runs/{run['run']}/logs/")
    is_live(page)
    page.get_by_role("button", name="Pause live updates").click()
    expect(page.locator("[data-live]")).to_contain_text("Paused")
    theatre.do("log", run=run["run"], output=run["output"], text="in the pause\n")
    page.wait_for_timeout(700)
    assert words(page) == []
    page.get_by_role("button", name="Pause live updates").click()
    expect(page.locator("[data-log-viewer] .row")).to_have_text(["1in the pause"], timeout=SOON_MS)


def test_a_change_of_state_is_shown_and_announced(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/")
    is_live(page)
    theatre.do("progress", run=run["run"], epoch=7, epochs=20)
    expect(page.locator("[data-progress-words]")).to_have_text("Epoch 7 of 20", timeout=SOON_MS)
    expect(page.get_by_role("progressbar", name="Progress of the training")).to_have_attribute("aria-valuenow", "35")
    theatre.do("complete", run=run["run"])
    expect(page.locator('[data-part="badge"]')).to_contain_text("Completed", timeout=SOON_MS)
    expect(page.locator("[data-announce]")).to_have_text("The run is now completed.")
    expect(page.get_by_role("link", name="Cancel run")).to_have_count(0)


def test_a_file_appears_as_it_is_written(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    page.goto(f"/runs/{run['run']}/files/")
    is_live(page)
    theatre.do("artifact", run=run["run"], task=run["task"], path="outputs/weights.keras")
    expect(page.get_by_role("link", name="outputs/weights.keras", exact=True)).to_be_visible(timeout=SOON_MS)
    expect(page.locator('[data-part="file-count"]')).to_have_text("1")


def test_the_overviews_tiles_and_last_lines_move(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/")
    is_live(page)
    theatre.do("log", run=run["run"], output=run["output"], text="\nfresh words\n")
    expect(page.locator("[data-log-tail]")).to_contain_text("fresh words", timeout=SOON_MS)
    theatre.do("points", run=run["run"], task=run["task"], name="loss", rows=[[4, 0.0625]])
    expect(page.locator(".tile", has_text="loss").last).to_contain_text("0.0625", timeout=SOON_MS)


def test_signing_out_elsewhere_ends_the_page_for_good(browser: Browser, theatre: Theatre):
    run = theatre.do("bare_run")
    session = theatre.do("sign_in")["session"]
    context = browser.new_context(base_url=theatre.url)
    context.add_cookies([{"name": "sessionid", "value": session, "url": theatre.url}])
    page = context.new_page()
    page.goto(f"/runs/{run['run']}/events/")
    is_live(page)
    elsewhere = context.new_page()
    elsewhere.goto("/accounts/logout/")
    elsewhere.locator("main form button[type=submit]").click()
    expect(page.locator("[data-live]")).to_have_attribute("data-status", "over", timeout=SOON_MS)
    expect(page.locator("[data-live]")).to_contain_text("Signed out")
    context.close()


def test_a_million_lines_open_at_the_end_and_at_a_permalink(page: Page, theatre: Theatre):
    run = theatre.do("bare_run", state="completed", reason="succeeded")
    theatre.do("long_log", output=run["output"], lines=1_000_000)
    page.goto(f"/runs/{run['run']}/logs/")
    viewer = page.locator("[data-log-viewer]")
    expect(viewer.locator(".row").last).to_have_text("1000000this is line 1000000", timeout=SOON_MS)
    assert viewer.locator(".row").count() < 80
    page.goto(f"/runs/{run['run']}/logs/#L500000")
    page.reload()
    expect(viewer.locator(".row.target")).to_have_text("500000this is line 500000", timeout=SOON_MS)
    expect(page.locator("[data-log-follow]")).to_have_attribute("aria-pressed", "false")
    top = viewer.locator(".row").first.inner_text()
    viewer.hover()
    page.mouse.wheel(0, 100)
    expect(viewer.locator(".row").first).not_to_have_text(top.replace("\n", ""))
    assert abs(first_number(page) - first_of(top)) <= 6
    viewer.press("Home")
    expect(viewer.locator(".row").first).to_have_text("1this is line 1", timeout=SOON_MS)
    page.locator("[data-log-follow]").click()
    expect(viewer.locator(".row").last).to_have_text("1000000this is line 1000000", timeout=SOON_MS)


def first_number(page: Page) -> int:
    return first_of(page.locator("[data-log-viewer] .row").first.inner_text())


def first_of(row: str) -> int:
    match = re.match(r"\d+", row)
    assert match, row
    return int(match[0])


def test_scrolling_up_lets_the_end_go_and_new_lines_do_not_pull(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    theatre.do("long_log", output=run["output"], lines=2000)
    page.goto(f"/runs/{run['run']}/logs/")
    viewer = page.locator("[data-log-viewer]")
    expect(viewer.locator(".row").last).to_have_text("2000this is line 2000", timeout=SOON_MS)
    is_live(page)
    shown = viewer.locator(".row").first.inner_text().replace("\n", "")
    viewer.press("PageUp")
    expect(viewer.locator(".row").first).not_to_have_text(shown)
    expect(page.locator("[data-log-follow]")).to_have_attribute("aria-pressed", "false")
    top = first_number(page)
    theatre.do("log", run=run["run"], output=run["output"], text="more\n")
    expect(page.locator("[data-log-size]")).to_have_text("2,001 lines", timeout=SOON_MS)
    assert first_number(page) == top
    viewer.press("End")
    expect(viewer.locator(".row").last).to_have_text("2001more")
    expect(page.locator("[data-log-follow]")).to_have_attribute("aria-pressed", "true")


def test_wrapped_lines_stay_in_view_to_the_last(page: Page, theatre: Theatre):
    run = theatre.do("bare_run")
    theatre.do("log", run=run["run"], output=run["output"], text=f"{'long ' * 300}\n" * 40 + "the end\n")
    page.goto(f"/runs/{run['run']}/logs/")
    page.locator("[data-log-wrap]").click()
    last = page.locator("[data-log-viewer] .row").last
    expect(last).to_contain_text("the end", timeout=SOON_MS)
    expect(last).to_be_in_viewport()
    assert page.evaluate("document.querySelector('[data-log-viewer]').scrollWidth") <= 1280


def test_what_is_chosen_above_the_charts_lives_in_the_address(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/metrics/?smooth=0.5&x=relative&filter=loss")
    expect(page.locator("#chart-x")).to_have_value("relative")
    card = page.locator('[data-chart="metric:loss"]')
    expect(card.locator(".scatterlayer .trace")).to_have_count(4, timeout=SOON_MS)
    page.locator("#chart-filter").fill("nothing like it")
    expect(card).to_be_hidden()
    expect(page.locator("[data-none-wanted]")).to_be_visible()
    page.locator("#chart-filter").fill("")
    page.locator("#chart-log").check()
    expect(card).to_be_visible()
    assert "log=1" in page.url
    assert "smooth=0.5" in page.url
    assert "filter" not in page.url
    page.reload()
    expect(page.locator("#chart-log")).to_be_checked()


def test_charts_follow_the_theme(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/metrics/")
    line = page.locator('[data-chart="metric:loss"]').locator(LINE).first
    expect(line).to_have_css("stroke", "rgb(29, 79, 196)", timeout=SOON_MS)
    page.emulate_media(color_scheme="dark")
    expect(line).to_have_css("stroke", "rgb(143, 176, 255)", timeout=SOON_MS)


def test_cancelling_is_asked_first(page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    page.goto(f"/runs/{run['run']}/")
    page.get_by_role("link", name="Cancel run").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="Cancel run").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator('[data-part="cancel"]')).to_contain_text("Cancelling", timeout=SOON_MS)


def test_hostile_names_and_lines_run_nothing(page: Page, theatre: Theatre):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    run = theatre.do("full_run", name=evil, notes=evil)
    theatre.do("log", run=run["run"], output=run["output"], text=f"\n{evil}\n\x1b[31m{evil}\x1b[0m\n")
    theatre.do("points", run=run["run"], task=run["task"], name=evil, rows=[[1, 1.0], [2, 2.0]])
    theatre.do("points", run=run["run"], task=run["task"], name=f"val_{evil}", rows=[[1, 1.0], [2, 2.0]])
    for tab in TABS:
        page.goto(f"/runs/{run['run']}/{tab}")
        expect(page.locator("h1")).to_have_text(evil)
        is_live(page)
    page.goto(f"/runs/{run['run']}/metrics/")
    expect(page.locator(f'[data-title="{evil}"]').locator(LINE)).to_have_count(2, timeout=SOON_MS)


def test_every_tab_is_accessible_in_both_themes(themed_page: Page, theatre: Theatre):
    run = theatre.do("full_run")
    for tab in TABS:
        themed_page.goto(f"/runs/{run['run']}/{tab}")
        is_live(themed_page)
        if tab in ("metrics/", "system/"):
            expect(themed_page.locator(LINE).first).to_be_attached(timeout=SOON_MS)
            themed_page.locator("[data-table] summary").first.click()
        assert violations(themed_page) == [], tab


@pytest.mark.parametrize(("state", "reason"), [("failed", "script_failed"), ("waiting", ""), ("preparing", "")])
def test_the_overview_of_every_kind_is_accessible(page: Page, theatre: Theatre, state: str, reason: str):
    run = theatre.do("bare_run", state=state, reason=reason, end_message="It went wrong." if reason else "")
    page.goto(f"/runs/{run['run']}/")
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_the_curves_of_tasks_are_shown_all_one_alone_or_as_their_mean(page: Page, theatre: Theatre):
    run = theatre.do("cluster")["run"]
    page.goto(f"/runs/{run}/metrics/")
    card = page.locator('[data-chart="metric:loss"]')
    expect(card.locator(LINE)).to_have_count(3, timeout=SOON_MS)
    page.get_by_label("Curves of which task").select_option("Mean of all")
    expect(card.locator(LINE)).to_have_count(1, timeout=SOON_MS)
    expect(card.locator("[data-label]:visible")).to_have_text(["0.36111"])
    expect(page).to_have_url(re.compile(r"\?task=mean$"))
    page.get_by_label("Curves of which task").select_option("worker 1")
    expect(page).to_have_url(re.compile(r"\?task=worker-1$"))
    expect(card.locator("[data-label]")).to_have_text(["0.33333"], timeout=SOON_MS)
    expect(card.locator(LINE)).to_have_count(1, timeout=SOON_MS)
    page.get_by_label("Curves of which task").select_option("All")
    expect(card.locator(LINE)).to_have_count(3, timeout=SOON_MS)


@pytest.mark.parametrize("failed", [False, True])
def test_the_page_of_several_tasks_is_accessible(themed_page: Page, theatre: Theatre, failed: bool):
    run = theatre.do("cluster", failed=failed)["run"]
    for tab in ("", "metrics/", "logs/"):
        themed_page.goto(f"/runs/{run}/{tab}")
        expect(themed_page.locator("h1")).to_be_visible()
        assert violations(themed_page) == []
