"""The exception of a deferral that lasted too long: in the Task SDK since Airflow 3.2."""

from __future__ import annotations

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef, attr-defined, unused-ignore]

__all__ = ["TaskDeferralTimeout"]
