"""Running again and named environments in a real browser: light and dark, wide and narrow, by keyboard."""

import pytest
from playwright.sync_api import expect

from runs.models import NamedEnvironment, Run
from runs.services import named_edit
from runs.snapshots import snapshot_from_folder
from runs.spec import Definition, RunSpec
from runs.states import Again, RunState
from tests.factories import make_environment, make_named_environment, make_run, make_user
from tests.runs.pages.conftest import zip_file
from tests.runs.pages.test_browser import (
    NARROW,
    NO_SOCKETS,
    WIDE,
    assert_accessible,
    assert_no_sideways_scrolling,
    browser,  # noqa: F401
    enter,  # noqa: F401
    house,  # noqa: F401
)
from tests.runs.pages.test_environments import HASH, spec

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.django_db(transaction=True)]

LONG = "a-package-with-a-name-that-is-far-too-long-for-any-narrow-column-of-a-phone"


@pytest.fixture
def vision(member, local) -> NamedEnvironment:
    """A shared one of the member's with three versions, of which one is built and one under way."""
    named = make_named_environment(
        member, name="vision-models", is_shared=True, description="For pictures.", pip_packages=["pandas", LONG]
    )
    for base, packages in enumerate([("pandas>=2", LONG), ("pandas>=2", "scikit-learn")], start=1):
        definition = Definition(
            name="vision-models",
            framework_version="2.21.0",
            pip_packages=packages,
            requirements=f"{LONG}==1.0 --hash=sha256:{'a' * 64}\n" * base,
            environment_variables={"SEED": "7"},
        )
        named_edit(
            named,
            actor=member,
            base=base,
            definition=definition,
            description=named.description,
            is_shared=True,
            note="Newer pandas",
        )
    named.versions.get(number=3).environments.add(make_environment(local, state="building", spec=spec("pandas")))
    return named


@pytest.fixture
def ran(member, local, tmp_path) -> Run:
    (tmp_path / "train.py").write_text("print('hello')\n")
    locked = "".join(f"package-{number}==1.{number}{HASH}" for number in range(30))
    environment = make_environment(local, lock=locked, python_version="3.11.4", spec=spec("pandas"))
    return make_run(
        owner=member,
        target=local,
        environment=environment,
        environment_spec={**spec("pandas"), "python": {"version": "3.11.4"}},
        lock=locked,
        snapshot=snapshot_from_folder(tmp_path),
        state=RunState.COMPLETED,
        spec=RunSpec(compute_target="local", pip_packages=("pandas",)),
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit_a_phone(enter, member, local, vision, ran, theme):  # noqa: F811
    newer = "".join(f"package-{number}==1.{number + number % 2}{HASH}" for number in range(30))
    updated = make_run(owner=member, target=local, cloned_from=ran, again=Again.UPDATED, lock=newer, name="updated")
    theirs = make_run(
        owner=make_user(), target=local, lock="six==1.0\n", spec=RunSpec(environment_variables={"API_KEY": "••••••"})
    )
    type(member).objects.filter(pk=member.pk).update(is_staff=True)
    page = enter("/environments/named/", color_scheme=theme, complaint=NO_SOCKETS)
    one = vision.get_absolute_url()
    paths = [f"{ran.get_absolute_url()}again/", f"{theirs.get_absolute_url()}again/", updated.get_absolute_url()]
    paths += [one, f"{one}edit/", f"{one}delete/"]
    paths += [f"/environments/named/new?run={ran.pk}", "/runs/new?environment=vision-models"]
    for path in ["/environments/named/", *paths]:
        page.goto(path)
        assert_accessible(page)
        page.set_viewport_size(NARROW)
        assert_no_sideways_scrolling(page)
        page.set_viewport_size(WIDE)

    expect(page.locator("#package-check")).to_contain_text("not checked")

    page = enter("/environments/named/new", color_scheme=theme, complaint="Failed to load resource")
    page.get_by_label("pip packages").fill("not a package !")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_focused()
    assert_accessible(page)


def test_a_run_is_repeated_by_keyboard(enter, ran):  # noqa: F811
    page = enter(ran.get_absolute_url(), complaint=NO_SOCKETS)
    page.get_by_role("link", name="Run again").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Run again, exactly").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".run-meta")).to_contain_text("exactly as")
    assert Run.objects.latest("pk").again == Again.EXACTLY


def test_a_chosen_environment_puts_the_runs_own_packages_out_of_the_way(enter, vision, tmp_path):  # noqa: F811
    archive = tmp_path / "digits.zip"
    archive.write_bytes(zip_file().read())
    page = enter("/runs/new", complaint=NO_SOCKETS)
    page.locator("#id_archive").set_input_files(archive)
    expect(page.locator("#received")).to_contain_text("digits.zip")
    page.locator("#id_pip_packages").fill("numpy")
    expect(page.locator("#package-check")).to_contain_text("not checked")
    page.locator("#id_environment_definition").select_option("vision-models")
    expect(page.locator("#id_pip_packages")).to_be_hidden()
    expect(page.locator("#id_environment_variables")).to_be_hidden()
    expect(page.locator("#definition")).to_contain_text("vision-models, version 3: TensorFlow 2.21.0 + pandas>=2")
    page.locator("#id_environment_definition").select_option("")
    expect(page.locator("#definition")).to_be_empty()
    expect(page.locator("#id_pip_packages")).to_have_value("numpy")
    page.locator("#id_environment_definition").select_option("vision-models@2")
    expect(page.locator("#definition")).to_contain_text("version 2")
    expect(page.locator("#package-check")).to_contain_text("not checked")
    page.get_by_role("button", name="Submit run").click()
    page.wait_for_url("**/runs/*/")
    assert Run.objects.get().spec == RunSpec(
        entry_script="train.py", compute_target="local", environment_definition="vision-models@2"
    )


def test_variables_are_rows_in_the_form_of_a_named_environment(enter):  # noqa: F811
    page = enter("/environments/named/new")
    page.locator("#id_name").fill("vision")
    rows = page.locator("#id_environment_variables")
    rows.locator("input").nth(0).fill("SEED")
    rows.locator("textarea").nth(0).fill("7")
    rows.locator("textarea").nth(0).press("Enter")
    page.keyboard.type("DEPTH")
    rows.locator("textarea").nth(1).fill("3")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="vision", exact=True)).to_be_visible()
    (version,) = NamedEnvironment.objects.get().versions.all()
    assert version.definition.environment_variables == {"SEED": "7", "DEPTH": "3"}
