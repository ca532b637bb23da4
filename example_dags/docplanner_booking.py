"""Book a slot on Docplanner, and wait for the notification that it is booked: what the calendar has made of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor

ADDRESS = "/facilities/1/doctors/2/addresses/3"
BOOKING = {
    "address_service_id": "5",
    "duration": 30,
    "patient": {"name": "Invented", "surname": "Patient", "email": "nobody@example.com", "phone": "+48000000000"},
}

with DAG(dag_id="docplanner_booking", schedule=None, tags=["docplanner"], doc_md=__doc__):

    @task(retries=0)  # Docplanner would book twice, and cannot be asked whether it has; nothing but the id is kept
    def book(dag_run: Any = None) -> str:
        """A slot of tomorrow; the answer is the booking, with the patient's data."""
        start = (dag_run.run_after + timedelta(days=1)).isoformat(timespec="seconds")
        reply = DocplannerHook().request("POST", f"{ADDRESS}/slots/{quote(start, safe='')}/book", json=BOOKING)
        return str(reply.json()["id"])

    # Events count from the start of the DAG run on, so one that came before the sensor began is found.
    booked = DocplannerNotificationSensor(
        task_id="booked",
        names="slot-booked",
        match={"visit_booking.id": "{{ ti.xcom_pull(task_ids='book') }}"},
        timeout=timedelta(hours=1).total_seconds(),
    )

    @task
    def report(notification: dict[str, Any]) -> str:
        """What is stored of a notification: ids, times and statuses, unless the connection says otherwise."""
        booking = notification["content"]["visit_booking"]
        return f"booking {booking['id']} is {booking['status']}, from {booking['start_at']}"

    book() >> booked
    report(booked.output)
