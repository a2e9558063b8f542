"""The tables of the lists: their columns, how each is sorted and how a cell reads."""

from runs.tables.environments import EnvironmentTable
from runs.tables.runs import RunTable

__all__ = ["EnvironmentTable", "RunTable"]
