"""What the pages read: one module a subject. Nothing here writes."""
