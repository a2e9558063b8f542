"""How something starts on a target: one module a kind, found by the target's ``kind``."""
