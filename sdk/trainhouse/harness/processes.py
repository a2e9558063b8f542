"""The processes of a task, as ``/proc`` shows them."""

import os

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """One row of the process table. ``cpu_s`` is the processor time it has used, ``resident_pages`` its memory."""

    __slots__ = ("cpu_s", "parent", "pid", "resident_pages", "zombie")

    def __init__(self, pid, stat):
        # The command's name comes in parentheses and may hold anything, parentheses and spaces included.
        fields = stat[stat.rindex(b")") + 2 :].split()
        self.pid = pid
        self.zombie = fields[0] in (b"Z", b"X")
        self.parent = int(fields[1])
        self.cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
        self.resident_pages = int(fields[21])


def process_table():
    """Every process that can be seen, by pid."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{}/stat".format(name), "rb") as file:
                    table[int(name)] = Process(int(name), file.read())
            except (OSError, ValueError):
                continue  # it ended meanwhile
    return table


def descendants(root, table=None):
    """The living processes below ``root``, whatever their session or group; ``root`` itself is not among them."""
    table = process_table() if table is None else table
    children = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found, pending = [], [root]
    while pending:
        for process in children.get(pending.pop(), ()):
            pending.append(process.pid)
            if not process.zombie:
                found.append(process)
    return found


def processes_carrying(marker):
    """The pids of living processes, except this one, that were started with ``marker`` (``b"NAME=value"``) in their
    environment. This finds what a killed guard left behind, whoever adopted it."""
    if not marker:
        return []
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open("/proc/{}/environ".format(name), "rb") as file:
                    if marker in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue  # it ended, or it is somebody else's
    return found


def signal_each(pids, number):
    """Sends signal ``number`` to every pid and returns how many it reached."""
    reached = 0
    for pid in pids:
        try:
            os.kill(pid, number)
            reached += 1
        except (ProcessLookupError, PermissionError):
            continue
    return reached
