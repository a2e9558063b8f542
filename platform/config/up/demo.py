"""The examples' runs, submitted like anybody's."""

import secrets
import shutil
from dataclasses import dataclass

from django.conf import settings

from accounts.models import User
from config.up.errors import StartRefused
from runs.errors import SpecProblems
from runs.models import Run
from runs.services import run_submit
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from runs.states import ACTIVE

#: Marks the examples' runs; before it a submission key names its owner, and after it stand the example and chance.
KEY_MARK = "demo-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example: its folder below ``examples``, the run's name, what it asks for, and the program it needs, if any
    beyond Python."""

    folder: str
    name: str
    spec: RunSpec
    program: str = ""


def _spread(folder: str, name: str, *, program: str = "", **values: object) -> Example:
    spec = RunSpec(pip_packages=("scikit-learn",), **values)  # type: ignore[arg-type]
    return Example(folder=folder, name=name, spec=spec, program=program)


DEMOS: dict[str, tuple[Example, ...]] = {
    "digits": (
        Example(
            folder="digits",
            name="Handwritten digits",
            spec=RunSpec(
                entry_script="train.py",
                script_params=(("--batch-size", 50), ("--learning-rate", 0.01)),
                pip_packages=("scikit-learn",),
            ),
        ),
    ),
    "distributed": (
        _spread(
            "multiworker_digits", "Two equal workers", distributed_backend="multiworker", node_count=2, worker_count=2
        ),
        _spread(
            "ps_digits",
            "A coordinator, two workers, a parameter server",
            distributed_backend="ps",
            node_count=2,
            worker_count=2,
            coordinator=True,
        ),
        _spread("horovod_digits", "Horovod on two nodes", program="mpicxx", distributed_backend="mpi", node_count=2),
    ),
}


def demo_submit(demo: str) -> list[tuple[Run, bool]]:
    """The runs of ``demo``, a key of ``DEMOS``, each with whether it is new: one that is still active is not submitted
    again, and one whose program is not on this machine is left out. Raises StartRefused."""
    return [_submit(example) for example in DEMOS[demo] if not example.program or shutil.which(example.program)]


def _submit(example: Example) -> tuple[Run, bool]:
    mark = f"{KEY_MARK}{example.folder}-"
    active = Run.objects.filter(submission_key__contains=f":{mark}", state__in=ACTIVE).first()
    if active is not None:
        return active, False
    owner = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
    if owner is None:
        raise StartRefused("The example belongs to the first administrator, and there is none. Use: make run")
    try:
        run = run_submit(
            owner=owner,
            spec=example.spec,
            experiment_name="digits",
            name=example.name,
            tags=["example"],
            snapshot=snapshot_from_folder(settings.BASE_DIR / "examples" / example.folder),
            submission_key=mark + secrets.token_hex(16),
        )
    except SpecProblems as refusal:
        words = "; ".join(problem.message for problem in refusal.problems)
        wants_nodes = any(problem.field == "node_count" for problem in refusal.problems)
        way_out = (
            f"To show this machine as {example.spec.node_count} nodes: make run, then Admin, Compute targets, "
            "local, Virtual nodes."
            if wants_nodes
            else "Without it: make run"
        )
        raise StartRefused(f"The example cannot be submitted: {words} {way_out}") from refusal
    return run, True
