"""conda's part of the form in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.runs.pages.test_browser import (
    NARROW,
    WIDE,
    assert_accessible,
    assert_no_sideways_scrolling,
    browser,  # noqa: F401
    enter,  # noqa: F401
    house,  # noqa: F401
)

pytestmark = pytest.mark.needs("chromium")


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", NARROW)])
def test_what_is_wrong_is_said_while_typing_and_the_summary_counts_along(enter, local, theme, size):  # noqa: F811
    page = enter("/runs/new", color_scheme=theme, viewport=size)
    expect(page.locator("#id_conda_packages")).to_be_hidden()
    page.locator("summary", has_text="Packages from conda").click()
    page.locator("#id_conda_packages").press_sequentially("numpy=1.26\nnum py")
    expect(page.locator("#id_conda_packages_error")).to_contain_text("'num py' is no conda package")
    expect(page.locator("#id_conda_packages")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-summary=pip_packages]")).to_have_text("2")
    page.locator("#id_conda_channels").fill("https://elsewhere.example/lab")
    expect(page.locator("#id_conda_channels_error")).to_contain_text("is no channel of this server")
    page.locator("#id_conda_channels").fill("")
    page.locator("#id_conda_packages").fill("")
    page.locator("#id_conda_dependencies_file").fill("environment.yml")
    expect(page.locator(".fold .field-error")).to_have_count(0)
    expect(page.locator("[data-summary=package_files]")).to_have_text("environment.yml")
    assert_accessible(page)
    assert_no_sideways_scrolling(page)
