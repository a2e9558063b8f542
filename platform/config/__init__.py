"""The project: settings, addresses, and the command that runs everything."""

__version__ = "0.1.0"
