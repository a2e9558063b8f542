"""How a task's words reach the stores: tokens, frames, their effects, and the spool of a task that cannot speak."""
