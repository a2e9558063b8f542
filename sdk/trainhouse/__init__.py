"""What runs on the user's side of the wire: the in-job API, automatic Keras metrics and the harness.

``from trainhouse import Run`` is all that a training script needs. Standard library only, Python 3.8 and newer.
"""

__all__ = ["Run"]


def __getattr__(name):
    # Loaded on first use: the harness and the import hook live in this package too and have to start fast.
    if name == "Run":
        from trainhouse.run import Run

        return Run
    raise AttributeError("module 'trainhouse' has no attribute {!r}".format(name))
