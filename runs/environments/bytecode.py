"""Bytecode, compiled once for each package and shared by the environments that have it.

Compiling takes longer than everything else of a build: TensorFlow and what it needs have thousands of modules.
"""

from pathlib import Path

from runs.environments.interpreters import Interpreter
from runs.environments.toolbox import uv_cache
from runs.environments.workshop import Workshop

#: What does it, run on the build's side.
WRITER = Path(__file__).with_name("bytecode_writer.py")


def bytecode_write(workshop: Workshop, interpreter: Interpreter) -> None:
    """Compiles every module that came without bytecode, and puts it beside its source in the package cache. Nothing of
    a package is run, which is why ``interpreter`` does it: beside the environment's own lies a ``pyvenv.cfg``, which a
    wheel may bring and which leads to another standard library. Raises EnvironmentFailed when the disk is full."""
    workshop.progress.say("compile", "Compiling to bytecode")
    writer = workshop.hand_over(WRITER.name, WRITER.read_text())
    for site in workshop.path.glob("lib/python3*/site-packages"):
        argv = [str(interpreter.path), "-I", "-S", writer, str(site), str(uv_cache())]
        workshop.command(argv, what="Compiling to bytecode")
