"""What every task process would import is imported once, before workers are forked: a run is to be cheap."""

import airflow.providers.standard.triggers.temporal
import authlib.integrations.requests_client
import pendulum
import requests

__all__ = ["airflow", "authlib", "pendulum", "requests"]
