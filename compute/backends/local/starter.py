"""The small program between the server and a process of another user. Run by path, with the standard library alone.

``python -I -S starter.py detach|attend|slay`` with one JSON object on standard input:

``detach``  starts a process that is nobody's child, in a session of its own, and prints ``{"pid", "started"}`` or
            ``{"error"}``. ``started`` is the kernel's start time of the process, which tells it from a later namesake.
``attend``  runs a command to its end and ends the way the command ended. Everything the command started dies with it,
            and all of it dies when this program is told to end or its own parent dies.
``slay``    kills every process of the given user at once; a process that forks cannot slip away, nor shoot first.

A forked child runs Python code between fork and exec, which is safe only in a process with a single thread: the
server has several, this program has one.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

#: No process has this user id. See ``slay``.
NOBODYS_UID = 4_294_900_001


def main() -> None:
    order = json.load(sys.stdin)
    {"detach": detach, "attend": attend, "slay": slay}[sys.argv[1]](order)


def detach(order: dict) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            _become(order)
            os.chdir(order["folder"])
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            _execute(order)
        except BaseException as error:  # told to the parent, which speaks of it
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(127)
    os.close(writer)
    trouble = b""
    while piece := os.read(reader, 4096):
        trouble += piece
    answer = {"error": trouble.decode(errors="replace")} if trouble else {"pid": pid, "started": _start_time(pid)}
    print(json.dumps(answer))  # noqa: T201  the answer goes to standard output


def attend(order: dict) -> NoReturn:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    if os.getppid() != order["parent"]:
        _end(signal.SIGTERM, None)
    this = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            _become(order)
            # After the change of user, which clears it.
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != this:
                os._exit(127)
            os.chdir(order["folder"])
            _execute(order)
        except BaseException as error:  # told in the output, where the person looks
            os.write(2, f"{order['argv'][0]} cannot be started: {error}\n".encode())
        os._exit(127)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            break
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _kill_children()
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def slay(order: dict) -> None:
    uid = order.get("uid")
    if not uid:
        raise SystemExit("slay needs a user id other than root's: it kills every process of that user.")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    try:
        # The kernel asks for the sender's effective user and the target's real and saved one (kill(2)): so this
        # process reaches all of that user's, and none of them reaches this one.
        os.setresuid(NOBODYS_UID, uid, NOBODYS_UID)
    except OSError:
        os.setresuid(uid, uid, uid)  # a user namespace that does not know the id
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody left


def _become(order: dict) -> None:
    """Takes on the user for ever; with no_new_privs, set-uid programs give nothing back."""
    uid = order.get("uid")
    if uid is not None:
        os.setgroups(order.get("groups", []))
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _execute(order: dict) -> NoReturn:
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                continue  # the C library keeps a few for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(order["umask"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execve(order["argv"][0], order["argv"], order["environ"])  # noqa: S606  no shell is meant


def _end(number: int, _frame: object) -> NoReturn:
    _kill_children()
    _die_of(number)


def _kill_children() -> None:
    """Kills every descendant. As the subreaper, this process inherits all whose parents end first."""
    while True:
        for pid in _descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(root: int) -> list:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(_stat(int(name))[1])
            except OSError:
                continue
    found = [root]
    for parent in found:
        found.extend(pid for pid, of in parents.items() if of == parent)
    return found[1:]


def _stat(pid: int) -> list:
    """The fields of /proc/<pid>/stat behind the name, which may itself hold spaces and brackets: state, parent, …"""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def _start_time(pid: int) -> int:
    return int(_stat(pid)[19])


def _die_of(number: int) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, int(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} is refused")


if __name__ == "__main__":
    main()
