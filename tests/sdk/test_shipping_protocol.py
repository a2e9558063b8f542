"""Whatever gets lost between harness and server, the server ends up with the same bytes, each once."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdk.ingest_server import IngestServer
from tests.sdk.task_folder import TaskFolder
from trainhouse.harness.ship import Shipper
from trainhouse.harness.spool import Spool
from trainhouse.harness.task import task_read
from trainhouse.harness.wire import ServerAway
from trainhouse.harness.words import Words

EVENTS = st.one_of(
    st.tuples(st.just("output"), st.binary(max_size=40)),
    st.tuples(st.just("points"), st.binary(max_size=40)),
    st.just(("post", None)),
    st.just(("request lost", None)),
    st.just(("answer lost", None)),
    st.just(("harness restarted", None)),
)


class Line:
    """Stands between shipper and server and loses what it is told to."""

    address = "a test"

    def __init__(self, server):
        self.server = server
        self.fault = None

    def post(self, frame):
        if self.fault == "request lost":
            raise ServerAway(self.fault)
        answer = self.server.receive(f"Bearer {self.server.token}", frame)
        if self.fault == "answer lost":
            raise ServerAway(self.fault)
        return answer

    def moved(self):
        return False

    def close(self):
        pass


def shipper_of(task, line):
    made = Shipper(task, Spool(task), Words(task.spool("harness")), on_stop=lambda grace_s: None)
    made._wire = line
    return made


@settings(deadline=None, max_examples=150)
@given(events=st.lists(EVENTS, max_size=40), limit=st.sampled_from([0, 25]))
def test_the_server_has_every_byte_once_whatever_was_lost(events, limit):
    with tempfile.TemporaryDirectory() as folder:
        root = TaskFolder(Path(folder) / "task", log_limit_bytes=limit).root
        task = task_read(str(root))
        line = Line(IngestServer())
        shipper = shipper_of(task, line)
        for kind, data in events:
            if kind in ("output", "points"):
                with (root / "spool" / kind).open("ab") as file:
                    file.write(data)
            elif kind == "harness restarted":
                shipper = shipper_of(task, line)
            else:
                line.fault = kind
                try:
                    shipper._post()
                except ServerAway:
                    continue
        line.fault = None
        shipper.exit_is({"code": 0, "signal": None, "ended_at": 1.0})
        shipper.close()
        for _ in range(10):
            if not shipper._finished():
                shipper._post()

        output, points = ((root / "spool" / name).read_bytes() for name in ("output", "points"))
        assert shipper._finished()
        assert line.server.is_complete()
        assert line.server.problems == []
        assert bytes(line.server.streams["output"]) == (output[:limit] if limit else output)
        assert bytes(line.server.streams["points"]) == points[: points.rfind(b"\n") + 1]
        assert json.dumps(line.server.exits[-1])
