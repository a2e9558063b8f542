"""A browser's side of the cursor protocol, as the run page plays it."""

import json


class Page:
    """What a page has: lines up to ``cursor``, the unfinished rest, the values of one series."""

    def __init__(self, stream):
        self.stream = stream
        self.cursor = 0
        self.lines = []
        self.tail = ""
        self.ended = False
        self.version = ""
        self.series = None
        self.values = []

    def series_cursors(self):
        return {} if self.series is None else {self.series: len(self.values)}

    def take(self, frames):
        for text in frames:
            frame = json.loads(text)
            if frame["type"] == "state":
                self.version = frame["version"]
            elif frame["type"] == "log" and frame["from"] == self.cursor:
                self.lines += frame["lines"]
                self.cursor, self.tail, self.ended = frame["to"], frame["tail"], frame["eof"]
            elif frame["type"] == "points":
                for series, points in frame["series"].items():
                    self.series = int(series)
                    if points["from"] <= len(self.values):
                        self.values += points["values"][len(self.values) - points["from"] :]
