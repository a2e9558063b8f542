"""Exit codes and signals in words."""

from __future__ import annotations

import signal

from runs.models import Task
from runs.states import TaskState

#: What a signal means for somebody whose training it ended. Linux; signal(7).
_SIGNAL_WORDS: dict[str, str] = {
    "SIGKILL": "it was ended from outside, at once; often the kernel does so when memory runs out",
    "SIGTERM": "it was asked to end",
    "SIGINT": "it was interrupted",
    "SIGSEGV": "a library touched memory that is not its own",
    "SIGBUS": "a mapped file or shared memory could not be read",
    "SIGABRT": "a library gave up, most often in native code; the last lines say why",
    "SIGFPE": "native code divided by zero or overflowed",
    "SIGILL": "a library uses instructions that this processor does not have",
    "SIGPIPE": "it wrote to a pipe that nobody reads",
    "SIGXCPU": "it used up its processor time limit",
    "SIGXFSZ": "a file grew over its size limit",
    "SIGHUP": "its terminal or session went away",
}

#: Exit codes with a meaning by convention: Python's own, argparse's, the shell's.
_CODE_WORDS: dict[int, str] = {
    0: "the script ended well",
    1: "Python ended with an error; the last lines name it",
    2: "the arguments were not understood, or Python could not open the script",
    120: "Python could not write its output when it ended",
    126: "a command was found but may not be run",
    127: "a command was not found",
}

_SHELL_SIGNAL_BASE = 128


def exit_words(task: Task) -> str:
    """How ``task`` ended, as one sentence; empty while nothing is known."""
    if task.out_of_memory:
        return "The kernel ended it because memory ran out."
    if task.saw_no_gpu:
        return "The script was not started: TensorFlow sees no GPU."
    if task.exit_signal is not None:
        return signal_words(task.exit_signal)
    if task.exit_code is not None:
        return code_words(task.exit_code)
    if task.state == TaskState.LOST:
        return "It disappeared without an exit code: nobody was left to write one down."
    return ""


def code_words(code: int) -> str:
    """An exit code with its meaning, where it has one. Codes from 129 on are a shell's word for a signal."""
    words = _CODE_WORDS.get(code)
    if words:
        return f"Exit code {code}: {words}."
    name = _signal_name(code - _SHELL_SIGNAL_BASE)
    if name:
        meaning = _SIGNAL_WORDS.get(name)
        return f"Exit code {code}: a shell's word for {name}" + (f"; {meaning}." if meaning else ".")
    return f"Exit code {code}: chosen by the script itself."


def signal_words(number: int) -> str:
    """A signal's name with its meaning, where it has one."""
    name = _signal_name(number)
    if name is None:
        return f"Killed by signal {number}."
    meaning = _SIGNAL_WORDS.get(name)
    return f"Killed by {name} (signal {number})" + (f": {meaning}." if meaning else ".")


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
