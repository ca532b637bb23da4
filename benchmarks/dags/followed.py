"""An asset watcher of a feed, and a DAG that its events schedule."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from benchmarks.feeds import CONN_ID, FEED, FOLLOWER

trigger = FeedTrigger(name=FOLLOWER, conn_id=CONN_ID, feed=FEED)
asset = Asset("followed", watchers=[AssetWatcher(name=FOLLOWER, trigger=trigger)])

with DAG("followed", schedule=asset, max_active_runs=1):
    EmptyOperator(task_id="nothing")
