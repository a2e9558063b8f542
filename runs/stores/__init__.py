"""Where a run's bytes and numbers lie: log files with a line index, packed points."""
