"""Bytecode that one environment has compiled, kept for those that share its packages.

Compiling takes longer than everything else: TensorFlow and its packages have thousands of modules.
"""

from pathlib import Path

from runs.environments.toolbox import uv_cache
from runs.environments.workshop import Workshop
from runs.errors import EnvironmentFailed

#: What does it, run on the build's side.
KEEPER = Path(__file__).with_name("bytecode_keeper.py")


def bytecode_keep(workshop: Workshop) -> None:
    """Puts what this build has compiled beside its source in the package cache. A build is whole without it: what goes
    wrong is said in its log."""
    keeper = workshop.hand_over(KEEPER.name, KEEPER.read_text())
    for site in workshop.path.glob("lib/python3*/site-packages"):
        argv = [str(workshop.python), "-I", "-S", keeper, str(site), str(uv_cache())]
        try:
            workshop.command(argv, what="Keeping the bytecode")
        except EnvironmentFailed as error:
            workshop.say(f"The bytecode is not kept for other environments. {error}")
