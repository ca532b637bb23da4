"""Events of Acronis schedule this DAG: each run handles all that have come since the last one, each in a task."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_taskwatch.triggers.feed import FeedTrigger

# Where this DAG has got in the feed belongs to the trigger's name: keep it when the DAG gets another one.
tenants = FeedTrigger(
    name="acronis-tenants",
    conn_id="acronis_default",
    feed={
        "topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0",
        "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"],
    },
)

with DAG(
    dag_id="acronis_tenant_events",
    schedule=Asset("acronis_tenants", watchers=[AssetWatcher(name="acronis-tenants", trigger=tenants)]),
    tags=["acronis"],
    doc_md=__doc__,
):

    @task
    def events(triggering_asset_events: Any = None) -> list[dict[str, str]]:
        """What has happened to whom; Airflow may merge several batches into one run."""
        batches = [one.extra["payload"] for events in triggering_asset_events.values() for one in events]
        return [{"name": event["name"], "tenant": event["subject"]} for batch in batches for event in batch["events"]]

    @task(map_index_template="{{ event['tenant'] }}")
    def take_note(event: dict[str, str]) -> str:
        """One event."""
        return f"{event['name'].rpartition('~')[2]} of {event['tenant']}"

    take_note.expand(event=events())
