"""Takes the screenshots of the README and the docs from a real run of the example.

PYTHONPATH=platform:sdk:. .venv/bin/python docs/take_screenshots.py
"""

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.installation import installation
from tests.conftest import CHROMIUM
from tests.e2e.house import ROOT, House
from tests.e2e.person import Person

IMAGES = ROOT / "docs" / "images"
AT_EPOCH = 24


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with installation(TRAINHOUSE_LOCAL_NODES="2") as (house, person), sync_playwright() as playwright:
        source = (ROOT / "examples" / "digits" / "train.py").read_text()
        run_id = person.submit(
            source,
            pip_packages="scikit-learn",
            experiment="digits",
            name="Handwritten digits",
            tags="example",
            params=[("--batch-size", "50"), ("--learning-rate", "0.01")],
        )
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        house.wait_until(run_id, "running", timeout_s=300)
        pages = {theme: signed_in(browser, house, person, theme) for theme in ("light", "dark")}
        pages["light"].goto(f"/runs/{run_id}/")
        pages["light"].get_by_text(f"Epoch {AT_EPOCH} of").first.wait_for(timeout=120_000)
        for theme, page in pages.items():
            page.goto(f"/runs/{run_id}/")
            page.wait_for_timeout(1500)  # until its curves are drawn
            page.screenshot(path=IMAGES / f"run-page-{theme}.png")
            environment_page(page, theme)
            distribution_of_form(page, theme)
        browser.close()


def environment_page(page: Page, theme: str) -> None:
    page.goto("/environments/")
    page.locator("#environments tbody a").first.click()
    page.wait_for_url("**/environments/*/")
    page.screenshot(path=IMAGES / f"environment-{theme}.png")


def distribution_of_form(page: Page, theme: str) -> None:
    """A parameter server run, drawn on the two nodes that the machine is shown as."""
    page.goto("/runs/new")
    page.select_option("#id_distributed_backend", "ps")
    for name, value in (("node_count", "2"), ("worker_count", "3"), ("parameter_server_count", "1")):
        page.fill(f"#id_{name}", value)
    page.locator(".layout-node").nth(1).wait_for()
    page.locator(".seat", has_text="worker 2").wait_for()
    page.locator(".distribution").screenshot(path=IMAGES / f"distribution-{theme}.png")


def signed_in(browser: Browser, house: House, person: Person, theme: str) -> Page:
    context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 860}, color_scheme=theme)
    context.add_cookies([{"name": c.name, "value": c.value or "", "url": house.url} for c in person.cookies])
    return context.new_page()


if __name__ == "__main__":
    main()
