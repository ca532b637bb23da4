"""Have Docplanner push again, every hour, what the receiver could not take: it advises to, and allows no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_taskwatch.operators.docplanner import DocplannerReleaseNotificationsOperator

with DAG(
    dag_id="docplanner_release",
    schedule=timedelta(hours=1),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["docplanner"],
    doc_md=__doc__,
):
    DocplannerReleaseNotificationsOperator(
        task_id="release",
        on_rate_limit="wait",  # a run that begins a second early would be skipped otherwise
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
