"""The example's run, submitted like anybody's."""

import secrets

from django.conf import settings

from accounts.models import User
from config.up.errors import StartRefused
from runs.errors import SpecProblems
from runs.models import Run
from runs.services import run_submit
from runs.snapshots import snapshot_from_folder
from runs.spec import RunSpec
from runs.states import ACTIVE

#: Marks the example's runs; before it a submission key names its owner, and the rest is chance.
KEY_MARK = "demo-"

SPEC = RunSpec(
    entry_script="train.py",
    script_params=(("--batch-size", 50), ("--learning-rate", 0.01)),
    pip_packages=("scikit-learn",),
    use_docker=False,
)


def demo_submit() -> tuple[Run, bool]:
    """The example's run and whether it is new: one that is still active is not submitted again. Raises StartRefused."""
    active = Run.objects.filter(submission_key__contains=f":{KEY_MARK}", state__in=ACTIVE).first()
    if active is not None:
        return active, False
    owner = User.objects.filter(is_staff=True, is_active=True).order_by("pk").first()
    if owner is None:
        raise StartRefused("The example belongs to the first administrator, and there is none. Use: make run")
    try:
        run = run_submit(
            owner=owner,
            spec=SPEC,
            experiment_name="digits",
            name="Handwritten digits",
            tags=["example"],
            snapshot=snapshot_from_folder(settings.BASE_DIR / "examples" / "digits"),
            submission_key=KEY_MARK + secrets.token_hex(16),
        )
    except SpecProblems as refusal:
        words = "; ".join(problem.message for problem in refusal.problems)
        raise StartRefused(f"The example cannot be submitted: {words} Without it: make run") from refusal
    return run, True
