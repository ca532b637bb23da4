"""Airflow's home folder: the Task SDK names it since Airflow 3.2."""

from __future__ import annotations


def airflow_home() -> str:
    """The absolute path of the folder."""
    try:
        from airflow.sdk.configuration import get_sdk_expansion_variables
    except ImportError:
        from airflow.configuration import AIRFLOW_HOME

        return str(AIRFLOW_HOME)
    return str(get_sdk_expansion_variables()["AIRFLOW_HOME"])
