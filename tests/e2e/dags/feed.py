"""DAGs that wait for events or are scheduled by them; the run's conf holds the filter."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_taskwatch.operators.acronis import AcronisReadEventsOperator
from airflow_provider_taskwatch.operators.docplanner import DocplannerPullNotificationsOperator
from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor
from airflow_provider_taskwatch.triggers.feed import FeedTrigger

TOPIC = "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0"
TYPES = ["cti.a.p.em.event.v1.0~a.p.tenant.*"]
SUBJECT = "{{ dag_run.conf['subject'] }}"
WATCHED: dict[str, Any] = {"topic": TOPIC, "types": TYPES}

with DAG("acronis_event", schedule=None):
    AcronisEventSensor(task_id="run", subject=SUBJECT, timeout=600, **WATCHED)

with DAG("acronis_event_on_worker", schedule=None):
    AcronisEventSensor(task_id="run", subject=SUBJECT, timeout=600, deferrable=False, poke_interval=1, **WATCHED)

with DAG("acronis_event_in_vain", schedule=None):
    AcronisEventSensor(task_id="run", subject=SUBJECT, timeout=3, **WATCHED)

with DAG("acronis_read", schedule=None):
    AcronisReadEventsOperator(task_id="run", since="{{ dag_run.conf['since'] }}", **WATCHED)

created = FeedTrigger(name="e2e", conn_id="acronis_default", feed=WATCHED, names=["*.created.v1.0"])

with DAG("acronis_created", schedule=Asset("acronis_tenants", watchers=[AssetWatcher(name="e2e", trigger=created)])):

    @task
    def subjects(triggering_asset_events: Any = None) -> list[str]:
        """The subjects of the events of this run."""
        triggering = [one for events in triggering_asset_events.values() for one in events]
        return [event["subject"] for one in triggering for event in one.extra["payload"]["events"]]

    subjects()

with DAG("docplanner_notification", schedule=None):
    DocplannerNotificationSensor(
        task_id="run", names="slot-book*", match={"visit_booking.id": "{{ dag_run.conf['booking'] }}"}, timeout=600
    )

with DAG("docplanner_push", schedule=None):
    DocplannerNotificationSensor(
        task_id="run", names="slot-booked", subject=SUBJECT, docplanner_conn_id="docplanner_push", timeout=600
    )

with DAG("docplanner_pull", schedule=None):
    DocplannerPullNotificationsOperator(task_id="run")
