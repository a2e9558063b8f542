"""Takes the screenshots of the README from a real run of the example.

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
    with installation() as (house, person), sync_playwright() as playwright:
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
        browser.close()


def signed_in(browser: Browser, house: House, person: Person, theme: str) -> Page:
    context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 860}, color_scheme=theme)
    context.add_cookies([{"name": c.name, "value": c.value or "", "url": house.url} for c in person.cookies])
    return context.new_page()


if __name__ == "__main__":
    main()
