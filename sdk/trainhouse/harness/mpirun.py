"""The command of a launcher: ``mpirun``, which starts this very harness as each rank. Written for Open MPI 4 and 5."""

import os
import shutil

from trainhouse.harness.not_started import CannotStart

_HARNESS = os.fsencode(os.path.dirname(os.path.abspath(__file__)))

#: Copying straight out of another process's memory needs rights that containers and hardened kernels do not give; the
#: user's own variable wins.
DEFAULTS = {b"OMPI_MCA_btl_vader_single_copy_mechanism": b"none"}


def mpirun_command(task):
    """The words that start ``task.ranks`` ranks on this node, none bound to a core: by default Open MPI pins each rank
    to one, on which all of TensorFlow's threads would then queue up."""
    words = [b"mpirun", b"-np", str(len(task.ranks)).encode(), b"--oversubscribe", b"--bind-to", b"none"]
    if os.geteuid() == 0:
        words.append(b"--allow-run-as-root")
    return [*words, task.argv[0], b"-I", b"-S", _HARNESS, b"rank", os.fsencode(task.folder)]


def mpirun_environ(task):
    """The launcher's environment. Raises CannotStart where its PATH has no mpirun."""
    if shutil.which("mpirun", path=os.fsdecode(task.environ.get(b"PATH", b""))) is None:
        raise CannotStart(
            "There is no mpirun on this machine, so no rank was started. An administrator can install Open MPI: "
            "apt-get install openmpi-bin."
        )
    return task.environ
