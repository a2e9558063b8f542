"""One readable log: time, process, level when it matters, message, and the facts given as ``extra``."""

import logging
import os
import time

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """``12:30:01 supervisor  run started  run=12 node=local``; warnings and worse carry their level's name."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        part = os.environ.get("TRAINHOUSE_PART", record.name.partition(".")[0])
        level = "" if record.levelno <= logging.INFO else f"{record.levelname} "
        facts = "".join(f"  {key}={value}" for key, value in vars(record).items() if key not in _STANDARD)
        line = f"{clock} {part:<10} {level}{record.getMessage()}{facts}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line
