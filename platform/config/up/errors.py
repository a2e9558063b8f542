"""What stops a start."""


class StartRefused(Exception):
    """The platform cannot start here. The text says what is in the way, with its value, and what to do."""
