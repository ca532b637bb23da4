"""Operators and sensors without patience: no pause between repeated requests, and no long look-ups."""

from __future__ import annotations

from functools import cached_property

from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
from airflow_provider_taskwatch.hooks.acronis import AcronisHook
from airflow_provider_taskwatch.hooks.aps import ApsHook
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.acronis import AcronisReadEventsOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor, AcronisTaskSensor
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor


def _no_pause(seconds: float) -> None:
    pass


class QuickAcquiaHook(AcquiaHook):
    @cached_property
    def driver(self) -> BlockingDriver:
        return BlockingDriver(self.settings, sleep=_no_pause)


class QuickAutomicHook(AutomicHook):
    @cached_property
    def driver(self) -> BlockingDriver:
        return BlockingDriver(self.settings, sleep=_no_pause)


class QuickAcronisHook(AcronisHook):
    @cached_property
    def driver(self) -> BlockingDriver:
        return BlockingDriver(self.settings, sleep=_no_pause)


class QuickApsHook(ApsHook):
    @cached_property
    def driver(self) -> BlockingDriver:
        return BlockingDriver(self.settings, sleep=_no_pause)


class Acquia(AcquiaTaskOperator):
    hook_class = "tests.task.quick.QuickAcquiaHook"


class Automic(AutomicExecutionOperator):
    hook_class = "tests.task.quick.QuickAutomicHook"
    look_up_seconds = 0.1
    look_up_interval_seconds = 0.02
    look_up_retry = Retry(attempts=4, first_seconds=0.02)


class AcquiaSensor(AcquiaNotificationSensor):
    hook_class = "tests.task.quick.QuickAcquiaHook"


class ApsSensor(ApsNotificationSensor):
    hook_class = "tests.task.quick.QuickApsHook"


class AutomicSensor(AutomicExecutionSensor):
    hook_class = "tests.task.quick.QuickAutomicHook"


class AcronisSensor(AcronisTaskSensor):
    hook_class = "tests.task.quick.QuickAcronisHook"


class AcronisRead(AcronisReadEventsOperator):
    hook_class = "tests.task.quick.QuickAcronisHook"


class AcronisEvent(AcronisEventSensor):
    hook_class = "tests.task.quick.QuickAcronisHook"
