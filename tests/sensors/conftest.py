"""The sandbox of the tasks' tests."""

from tests.task.conftest import box

__all__ = ["box"]
