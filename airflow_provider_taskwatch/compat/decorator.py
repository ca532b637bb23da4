"""What decorators use of Airflow, which common-compat gives since 1.13."""

from __future__ import annotations

try:
    from airflow.providers.common.compat.sdk import determine_kwargs
except ImportError:
    from airflow.utils.operator_helpers import determine_kwargs

__all__ = ["determine_kwargs"]
