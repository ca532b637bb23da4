"""Airflow's metrics in the API server and in a receiver of its own; functions of a module since Airflow 3.3.

A process of Airflow 3.3 and 3.2 sets them up, but the API server of 3.2 does not. On 3.1 the first metric sets them up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow.exceptions import AirflowConfigException

log = logging.getLogger(__name__)


def api_server_counter() -> Callable[[str], None]:
    """Adds to a counter, in the API server. Metrics that cannot be set up are a warning, as in Airflow 3.3."""
    try:
        from airflow.observability.stats import incr
    except ImportError:
        pass
    else:
        return incr
    try:
        return own_counter()
    except AirflowConfigException as error:
        log.warning("the receiver of callbacks does not count: Airflow's metrics cannot be set up: %s", error)
        return lambda name: None


def own_counter() -> Callable[[str], None]:
    """Adds to a counter, in a process for which Airflow sets up no metrics."""
    try:
        from airflow.observability.metrics.stats_utils import get_stats_factory
        from airflow.observability.stats import Stats
    except ImportError:
        from airflow.stats import Stats as Stats31

        return _counter_of(Stats31)
    try:
        from airflow.observability.stats import incr, initialize
    except ImportError:
        Stats.initialize(factory=get_stats_factory(Stats))  # type: ignore[call-arg, unused-ignore]
        return _counter_of(Stats)
    from airflow.configuration import conf

    initialize(factory=get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on"))
    return incr


def _counter_of(stats: Any) -> Callable[[str], None]:
    """Adds to a counter of a class whose method ``incr`` each process makes at its first use.

    The first use is here, so that a wrong setting is an error now, and not of each request.
    """
    _ = stats.incr

    def count(name: str) -> None:
        stats.incr(name)

    return count
