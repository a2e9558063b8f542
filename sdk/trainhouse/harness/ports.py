"""A port of its own for a task: chosen when it starts, kept for it until its script listens there."""

import os
import socket

from trainhouse.harness.processes import descendants

_LISTENING = b"0A"  # /proc/net/tcp, column "st" (proc(5); the numbers are in the kernel's tcp_states.h)


def port_reserve(ports, wish=None):
    """A socket bound to a port of ``ports`` (first and last) on every address of this machine; to ``wish`` if it can.

    It does not listen. Nobody else gets the port, other tasks' guards included, until ``port_share``. Raises OSError
    with the kernel's last word when no port is to be had.
    """
    first, last = ports
    count = last - first + 1
    start = int.from_bytes(os.urandom(4), "big")  # so that tasks which start together do not queue for the same ports
    trouble = None
    for port in ([] if wish is None else [wish]) + [first + (start + step) % count for step in range(count)]:
        try:
            return _bound(port)
        except OSError as error:
            trouble = error
    raise trouble


def port_share(reserved):
    """Lets the script listen on the port that ``reserved`` goes on keeping.

    Where every socket has SO_REUSEADDR and none listens yet, another may be bound and listen (socket(7)). gRPC sets the
    option, and with it every server of TensorFlow; so do Python's own servers. A program that takes whatever port is
    free does not get this one, nor does another guard: only one that asks for this very number in the seconds until
    the script listens.
    """
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def port_of(reserved):
    return reserved.getsockname()[1]


def stranger_listens(port, guard):
    """Whether a process that is not below ``guard`` listens on ``port`` of this machine."""
    own = set()
    for process in descendants(guard):
        own |= _sockets(process.pid)
    return bool(_listening(port) - own)


def _bound(port):
    """One socket for IPv4 and IPv6 where the machine has both, as gRPC binds its own."""
    try:
        found = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:
        return _bind(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", port))
    found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return _bind(found, ("::", port))


def _bind(found, address):
    try:
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


def _listening(port):
    """The inodes of the sockets that listen on ``port``."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, "rb") as file:
                rows = [line.split() for line in file]
        except OSError:
            continue  # a kernel without IPv6
        found |= {row[9] for row in rows[1:] if row[3] == _LISTENING and int(row[1].rpartition(b":")[2], 16) == port}
    return found


def _sockets(pid):
    """The inodes of the sockets that a process has open."""
    folder = "/proc/{}/fd".format(pid)
    found = set()
    try:
        for name in os.listdir(folder):
            target = os.readlink(os.path.join(folder, name))
            if target.startswith("socket:["):
                found.add(target[8:-1].encode("ascii"))
    except OSError:
        pass  # it ended meanwhile
    return found
