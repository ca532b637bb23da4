"""Whether a trigger can push an XCom without blocking its event loop: ``XCom.aset`` exists since Airflow 3.3."""

from __future__ import annotations


def can_push_from_triggerer() -> bool:
    """Below Airflow 3.3 a result has to be pushed by a worker."""
    from airflow.sdk.execution_time.xcom import XCom

    return hasattr(XCom, "aset")
