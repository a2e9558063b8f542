"""The spool does not fill the disk: what the server has is given back, and a limit ends collection, not the script."""

import os

from tests.sdk.task_folder import wait_for

MEGABYTE = 1_000_000
UNTIL_TOLD = "import time\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
PRINTER = (
    "import os\npiece = b'0123456789' * 100_000\n"
    "for i in range({}):\n    rest = piece\n    while rest: rest = rest[os.write(1, rest):]\n"
    "{}"
)


def on_disk(path):
    return path.stat().st_blocks * 512


def test_blocks_that_the_server_has_are_given_back_and_offsets_stay(server, make_task):
    task = make_task(PRINTER.format(24, UNTIL_TOLD))
    harness = task.harness_start()
    wait_for(lambda: len(server.streams.get("output", b"")) == 24 * MEGABYTE, what="24 MB at the server")
    spool = task.root / "spool" / "output"
    wait_for(lambda: on_disk(spool) < 9 * MEGABYTE, what="the hole")

    assert spool.stat().st_size == 24 * MEGABYTE
    (task.root / "work" / "go").touch()
    assert harness.wait(20) == 0
    assert bytes(server.streams["output"]) == b"0123456789" * 100_000 * 24


def test_a_harness_started_again_after_a_hole_goes_on_behind_it(server, make_task):
    task = make_task(PRINTER.format(20, UNTIL_TOLD + "print('end')"))
    harness = task.harness_start()
    spool = task.root / "spool" / "output"
    wait_for(lambda: spool.exists() and spool.stat().st_size == 20 * MEGABYTE and on_disk(spool) < 12 * MEGABYTE)
    os.kill(harness.pid, 9)
    harness.wait()
    (task.root / "work" / "go").touch()
    task.run()

    assert bytes(server.streams["output"]) == b"0123456789" * 2_000_000 + b"end\n"


def test_a_log_limit_ends_collection_with_a_sentence_and_the_script_goes_on(server, make_task):
    task = make_task(
        PRINTER.format(30, "open('outputs/end', 'w').write('x')\nraise SystemExit(6)"), log_limit_bytes=2_500_001
    )
    record = task.run()

    assert record["code"] == 6
    assert bytes(server.streams["output"]) == (b"0123456789" * 250_001)[:2_500_001]
    assert "2,500,001 bytes" in server.notices["output"]
    assert b"The script goes on." in server.streams["harness"]
    assert [path for path, _, _ in server.outputs[-1]] == ["outputs/end"]
    assert "output" in server.closed


def test_what_is_printed_beyond_the_limit_is_given_back_even_without_a_server(make_task):
    task = make_task(PRINTER.format(30, UNTIL_TOLD), log_limit_bytes=MEGABYTE, server_url="http://127.0.0.1:9")
    task.harness_start()
    spool = task.root / "spool" / "output"
    wait_for(lambda: spool.exists() and spool.stat().st_size == 30 * MEGABYTE, what="30 MB")

    wait_for(lambda: on_disk(spool) < 10 * MEGABYTE, what="the hole behind the limit")
    assert spool.read_bytes()[:MEGABYTE] == b"0123456789" * 100_000


def test_output_of_exactly_the_limit_is_complete_and_draws_no_notice(server, make_task):
    make_task("print('123456789')", log_limit_bytes=10).run()

    assert bytes(server.streams["output"]) == b"123456789\n"
    assert server.notices == {}
