"""Whether the kernel has killed something for want of memory."""


def oom_kills():
    """How many processes of this control group (else: of this machine) the kernel has killed for memory so far, or None
    where it does not say."""
    for path in _event_files():
        try:
            with open(path) as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return None


def _event_files():
    try:
        with open("/proc/self/cgroup") as file:
            for line in file:
                _, controllers, group = line.rstrip("\n").split(":", 2)
                if controllers == "":
                    yield "/sys/fs/cgroup{}/memory.events".format(group.rstrip("/"))
                elif "memory" in controllers.split(","):
                    yield "/sys/fs/cgroup/memory{}/memory.oom_control".format(group.rstrip("/"))
    except (OSError, ValueError):
        pass
    yield "/proc/vmstat"
