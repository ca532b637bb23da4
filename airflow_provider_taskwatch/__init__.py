"""Start something in somebody else's system from a DAG, let go of the worker, and be woken once when it ends."""

__version__ = "0.1.0"
