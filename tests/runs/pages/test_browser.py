"""The pages in a real browser: reachable by everyone, in light and dark, wide and narrow, with scripts and without."""

import re
import shlex
import zipfile
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from runs.models import Run
from runs.snapshots.ignore import ALWAYS_IGNORED, IgnoreRules
from runs.spec import RunSpec
from runs.states import RunState
from tests.conftest import CHROMIUM
from tests.factories import make_run
from tests.runs.pages.conftest import zip_file

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.django_db(transaction=True)]

#: The run page asks for its socket, which this server does not have.
NO_SOCKETS = "WebSocket connection"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, in which Django would refuse its database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def house(browser, live_server, local) -> str:
    """The address of a server with one target."""
    return live_server.url


@pytest.fixture
def enter(browser: Browser, house: str, person) -> Iterator[Callable[..., Page]]:
    """Opens a page as the member. Fails when a page asked another origin for something, or when the browser complained
    of anything but ``complaint``."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str, *, signed_in: bool = True, complaint: str = "\0", **options: object) -> Page:
        context = browser.new_context(base_url=house, **{"viewport": WIDE, **options})
        contexts.append(context)
        if signed_in:
            session = person.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": house}])
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("request", lambda request: request.url.startswith(house) or complaints.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: note(message, complaint))
        page.goto(path)
        return page

    def note(message: ConsoleMessage, complaint: str) -> None:
        if message.type == "error" and complaint not in message.text:
            complaints.append(message.text)

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def assert_accessible(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations] == []


def assert_no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_phone(enter, member, theme):
    page = enter("/accounts/login/", signed_in=False, color_scheme=theme)
    assert page.locator("html").get_attribute("data-bs-theme") == theme
    assert_accessible(page)

    page = enter("/", color_scheme=theme, complaint="Failed to load resource")
    assert_accessible(page)
    spec = RunSpec(script_params=(("--epochs", "20"),), environment_variables={"API_TOKEN": "••••••"})
    for state in RunState.values:
        run = make_run(
            owner=member, name=state, state=state, tags=["a", "b"], spec=spec, progress={"epoch": 1, "epochs": 2}
        )
    for path in (
        "/",
        "/?q=nothing",
        f"/runs/new?clone={run.pk}",
        f"/runs/{run.pk}/cancel/",
        "/nowhere",
        "/accounts/logout/",
    ):
        page.goto(path)
        assert_accessible(page)
        page.set_viewport_size(NARROW)
        assert_no_sideways_scrolling(page)
        page.set_viewport_size(WIDE)

    page.goto("/runs/new")
    page.locator("#id_pip_packages").fill("not a package !")
    page.get_by_role("button", name="Submit run").click()
    expect(page.get_by_role("alert").first).to_be_focused()
    assert_accessible(page)
    page.get_by_role("link", name="pip packages").click()
    expect(page.locator("#id_pip_packages")).to_have_attribute("aria-invalid", "true")


def test_a_zip_is_sent_at_once_and_the_form_makes_the_run(enter, tmp_path):
    archive = tmp_path / "digits.zip"
    archive.write_bytes(zip_file({"main.py": "print()", "lib/net.py": ""}).read())
    page = enter("/runs/new", complaint=NO_SOCKETS)
    page.locator("#id_archive").set_input_files(archive)
    expect(page.locator("#received")).to_contain_text("digits.zip")
    expect(page.locator("#received")).to_contain_text("2 files")
    expect(page.locator("#id_entry_script")).to_have_value("main.py")

    rows = page.locator("#id_script_params")
    rows.locator("input").nth(0).fill("--second")
    rows.locator("textarea").nth(0).fill("it's")
    rows.locator("textarea").nth(0).press("Enter")
    page.keyboard.type("--first")
    rows.locator("textarea").nth(1).click()
    page.keyboard.type("two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("[data-command]")).to_have_text(
        "python main.py \\\n    --first 'two\nlines' \\\n    --second 'it'\"'\"'s'"
    )
    page.get_by_role("button", name="Submit run").click()
    page.wait_for_url("**/runs/*/")
    run = Run.objects.get()
    assert run.spec.argv == ("--first", "two\nlines", "--second", "it's")
    assert run.spec.entry_script == "main.py"


def test_a_folder_leaves_its_ignored_files_on_this_side(enter, tmp_path):
    folder = tmp_path / "project"
    for path, text in {
        "train.py": "print('hello')",
        ".gitignore": "data/\n*.h5\n!keep.h5\n",
        "data/big.bin": "x" * 1000,
        "model.h5": "x",
        "keep.h5": "x",
        "__pycache__/train.pyc": "x",
        "sub/ü mlaut.txt": "x",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    page = enter("/runs/new", complaint=NO_SOCKETS)
    sent: list[bytes] = []
    page.on("request", lambda request: sent.append(request.post_data_buffer or b""))
    page.locator("[data-folder]").set_input_files(folder)
    expect(page.locator("#received")).to_contain_text("4 files")
    assert b"x" * 1000 not in b"".join(sent)
    page.get_by_role("button", name="Submit run").click()
    page.wait_for_url("**/runs/*/")
    snapshot = Run.objects.get().snapshot
    assert sorted(snapshot.files.values_list("path", flat=True)) == [
        ".gitignore",
        "keep.h5",
        "sub/ü mlaut.txt",
        "train.py",
    ]


def test_an_upload_that_fails_says_why_and_keeps_the_form(enter, tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"this is no zip file")
    page = enter("/runs/new", complaint="Failed to load resource")
    page.locator("#id_name").fill("still here")
    page.locator("#id_archive").set_input_files(broken)
    expect(page.locator("[data-upload-error]")).to_contain_text("zip")
    page.route("**/api/v1/uploads/zip", lambda route: route.abort("connectionreset"))
    page.locator("#id_archive").set_input_files(broken)
    expect(page.locator("[data-upload-error]")).to_contain_text("The connection broke off")
    expect(page.locator("#id_name")).to_have_value("still here")
    expect(page.get_by_role("button", name="Submit run")).to_be_enabled()


def test_packages_are_checked_while_they_are_typed(enter):
    page = enter("/runs/new")
    page.locator("#id_pip_packages").press_sequentially("pandas >")
    expect(page.locator("#id_pip_packages_error")).to_contain_text("is no package requirement")
    expect(page.locator("#id_pip_packages")).to_have_attribute("aria-invalid", "true")
    page.locator("#id_pip_packages").press_sequentially("=2")
    expect(page.locator("#id_pip_packages_error .field-error")).to_have_count(0)
    expect(page.locator("#id_pip_packages")).not_to_have_attribute("aria-invalid", "true")


def test_counts_typed_while_the_target_is_asked_are_drawn_too(enter):
    page = enter("/runs/new")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")  # nothing is asked again by itself
    held: list[Route] = []
    page.route("**/runs/new/place*", lambda route: route.continue_() if held else held.append(route))
    page.locator("#id_distributed_backend").select_option("multiworker")
    page.locator("#id_worker_count").fill("2")
    page.wait_for_timeout(600)
    held[0].continue_()
    expect(page.locator("#layout")).to_contain_text("worker 1")


def test_values_of_secrets_are_dots_while_they_are_typed(enter):
    page = enter("/runs/new")
    rows = page.locator("#id_environment_variables")
    rows.locator("input").nth(0).fill("WANDB_API_KEY")
    expect(rows.locator("textarea").nth(0)).to_have_css("-webkit-text-security", "disc")
    rows.locator("input").nth(0).fill("SEED")
    expect(rows.locator("textarea").nth(0)).to_have_css("-webkit-text-security", "none")


def test_the_list_moves_by_itself_until_nothing_is_active(enter, member):
    run = make_run(owner=member, name="moving", state=RunState.RUNNING, progress={"epoch": 1, "epochs": 9})
    page = enter("/runs/?q=moving")
    expect(page.locator("#runs")).to_contain_text("Epoch 1 of 9")
    Run.objects.filter(pk=run.pk).update(progress={"epoch": 2, "epochs": 9})
    expect(page.locator("#runs")).to_contain_text("Epoch 2 of 9")
    Run.objects.filter(pk=run.pk).update(state=RunState.COMPLETED)
    expect(page.locator("#runs")).to_contain_text("Completed")
    expect(page.locator("#runs")).not_to_have_attribute("data-live", "")


def test_filters_work_while_typing_and_stand_in_the_address(enter, member):
    make_run(owner=member, name="apple")
    make_run(owner=member, name="pear")
    page = enter("/runs/")
    page.get_by_label("Search").press_sequentially("app")
    expect(page.locator(".run-link")).to_have_text(["apple"])
    page.wait_for_url("**q=app**")
    page.get_by_role("link", name="Run", exact=True).click()
    page.wait_for_url("**sort=run**")
    expect(page.get_by_label("Search")).to_have_value("app")
    expect(page.locator(".run-link")).to_have_text(["apple"])


def test_moments_are_told_in_the_persons_own_time_zone(enter, member):
    began = timezone.now().replace(year=timezone.now().year - 1, month=3, day=1, hour=20, minute=30)
    make_run(owner=member, state=RunState.FAILED, started_at=began, ended_at=began)
    page = enter("/runs/", timezone_id="Asia/Tokyo")
    expect(page.locator("td time")).to_have_text(f"2 Mar {began.year}")
    expect(page.locator("td time")).to_have_attribute("title", re.compile("05:30"))


def test_the_theme_is_chosen_once_and_kept(enter):
    page = enter("/", color_scheme="light")
    button = page.get_by_role("button", name="Colour theme")
    button.click()
    button.click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("button", name="Colour theme: dark")).to_be_visible()


def test_without_scripts_the_form_works_from_sign_in_to_submission(enter, tmp_path):
    archive = tmp_path / "digits.zip"
    archive.write_bytes(zip_file({"train.py": ""}).read())
    page = enter("/runs/new", signed_in=False, java_script_enabled=False)
    page.locator("#id_login").fill("member")
    page.locator("#id_password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#id_archive").set_input_files(archive)
    page.locator("[name='script_params.name']").nth(0).fill("--x")
    page.locator("[name='script_params.value']").nth(0).fill("two\nlines")
    page.get_by_role("button", name="Add parameter").click()
    expect(page.locator("#received")).to_contain_text("digits.zip")
    expect(page.locator("[name='script_params.name']")).to_have_count(4)
    page.locator("[name='script_params.name']").nth(1).fill("--flag")
    page.locator("#id_name").press("Enter")
    page.wait_for_url("**/runs/*/")
    assert Run.objects.get().spec.argv == ("--x", "two\nlines", "--flag")


@pytest.fixture
def script(enter) -> Callable[[str, str, object], object]:
    """Calls an exported function of one of our modules in a page."""
    page = enter("/accounts/login/", signed_in=False)

    def run(module: str, call: str, argument: object) -> object:
        source = f"const m = await import('/static/js/submit/{module}.js'); return ({call})(m, argument);"
        return page.evaluate(f"async (argument) => {{ {source} }}", argument)

    return run


def test_the_command_is_quoted_as_pythons_shlex_does(script):
    words = [
        "",
        "a",
        "a b",
        "it's",
        '"',
        "$HOME",
        "ü",
        "🚂",
        "a\nb",
        "--x=1",
        "~",
        "*",
        "#",
        "!",
        "a,b:c@d%e+f",
        "\\",
        "`",
        "'",
    ]
    shown = script("command", "(m, words) => words.map((word) => m.commandLine(word, []))", words)
    assert shown == [shlex.join(["python", word]) for word in words]


def test_the_browser_ignores_what_the_server_ignores(script):
    paths = """train.py a/train.py data/x a/data/x data model.h5 keep.h5 a/b/c.txt a/c.txt logs/x a/logs/x outputs/m
        __pycache__/x.pyc a/__pycache__/x.pyc .git/config .venv/bin/python #x !y x[1].txt x1.txt foo/bar/baz foo/x/y/baz
        foobaz a/.DS_Store é.txt b.log deep/b.log""".split()  # noqa: SIM905
    paths.append("a b.txt")
    files = """*.h5,!keep.h5 data/ /data data a/*.txt a/**/c.txt **/logs foo/**/baz foo/** * *,!train.py x[0-9].txt
        x\\[1\\].txt \\#x \\!y #comment,, ?1.txt [!x]1.txt !logs/x,!outputs/ *.log,!deep/ a/,!a/train.py é.* /*,!/a/ **
        a/**,!a/b/c.txt .*""".split()  # noqa: SIM905
    call = "(m, [always, own, paths]) => paths.filter(m.ignoreRules(always, own))"
    for lines in [[], ["a b.txt  "], *(file.split(",") for file in files)]:
        rules = IgnoreRules(lines)
        server = [path for path in paths if rules.ignores_file(path)]
        assert script("ignore", call, [list(ALWAYS_IGNORED), lines, paths]) == server, lines


def test_what_the_received_source_hides_is_said_and_its_text_files_are_offered(enter, tmp_path):
    archive = tmp_path / "source.zip"
    with zipfile.ZipFile(archive, "w") as files:
        for name, text in {"train.py": "", "horovod.py": "", "requirements.txt": "six\n-e .\n"}.items():
            files.writestr(name, text)
    page = enter("/runs/new")
    page.locator("#id_archive").set_input_files(archive)
    expect(page.locator("#advice")).to_contain_text("horovod.py hides the library horovod")
    expect(page.locator("#requirements option")).to_have_count(1)
    page.locator("#id_pip_requirements_file").press_sequentially("requirements.txt")
    expect(page.locator("#id_pip_requirements_file_error")).to_contain_text("requirements.txt:2 asks for")
    expect(page.locator("#id_pip_requirements_file")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-summary=package_files]")).to_have_text("requirements.txt")
    page.locator("#id_pip_requirements_file").fill("")
    expect(page.locator("#id_pip_requirements_file_error .field-error")).to_have_count(0)
    page.locator("#id_legacy_keras").check()
    expect(page.locator("#advice")).to_contain_text("Legacy Keras: tf_keras")
