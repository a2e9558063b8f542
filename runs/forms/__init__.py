"""What people type: the run list's filters and the form of a new run."""
