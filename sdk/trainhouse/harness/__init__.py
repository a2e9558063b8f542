"""The first process of every task: starts the script through a guard, watches it and ships what it writes.

Runs on any Python from 3.8 with the standard library alone: ``python -I -S <path>/trainhouse/harness <task folder>``.
The task folder and the wire are described in ``docs/architecture.md``.
"""
