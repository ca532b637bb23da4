"""Three asset watchers of one feed, each with a DAG; and sensors that wait for events of the same feed."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor
from airflow_provider_taskwatch.triggers.feed import FeedTrigger

TOPIC = "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0"
TYPES = ["cti.a.p.em.event.v1.0~a.p.tenant.*"]
SUBJECTS = os.environ["FEED_SUBJECTS"].split()

for number in range(3):
    trigger = FeedTrigger(name=f"watcher-{number}", conn_id="acronis_default", feed={"topic": TOPIC, "types": TYPES})
    asset = Asset(f"feed_{number}", watchers=[AssetWatcher(name=f"watcher-{number}", trigger=trigger)])
    with DAG(f"scheduled_{number}", schedule=asset, max_active_runs=1):
        EmptyOperator(task_id="nothing")

with DAG("waiting", schedule=None):
    AcronisEventSensor.partial(task_id="run", topic=TOPIC, types=TYPES, timeout=600).expand(subject=SUBJECTS)
