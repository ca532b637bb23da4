"""Start a task in a remote system from a DAG, free the worker, and resume once when the task has ended."""

__version__ = "0.1.0"
