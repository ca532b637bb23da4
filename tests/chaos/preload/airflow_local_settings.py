"""Imports the modules of every task process once, before workers are forked, to make a run cheap."""

import airflow.providers.standard.triggers.temporal
import authlib.integrations.requests_client
import pendulum
import requests

__all__ = ["airflow", "authlib", "pendulum", "requests"]
