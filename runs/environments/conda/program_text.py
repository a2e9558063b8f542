"""The text of the program that works with rattler, to be handed to a Python of the machine."""

from pathlib import Path

PROGRAM = Path(__file__).with_name("program.py").read_text()
