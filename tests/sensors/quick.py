"""The sensors, less patient: no pause between repeated requests."""

from __future__ import annotations

from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.acronis import AcronisTaskSensor
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor


class Acquia(AcquiaNotificationSensor):
    hook_class = "tests.operators.quick.QuickAcquiaHook"


class Aps(ApsNotificationSensor):
    hook_class = "tests.operators.quick.QuickApsHook"


class Automic(AutomicExecutionSensor):
    hook_class = "tests.operators.quick.QuickAutomicHook"


class Acronis(AcronisTaskSensor):
    hook_class = "tests.operators.quick.QuickAcronisHook"
