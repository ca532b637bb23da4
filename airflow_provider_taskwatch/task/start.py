"""How one attempt gets to exactly one execution: it rejoins an earlier one, or starts it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.record import Record, Started
from airflow_provider_taskwatch.core.text import shown_ref

from .deferral import now

if TYPE_CHECKING:
    from .job import Job, Records
    from .recovery import Recovery
    from .remote import Remote


class Attempt:
    """One attempt of a task instance to have its job started once.

    :param records: the record that earlier attempts have left.
    :param log: the log of the task.
    """

    def __init__(self, job: Job, remote: Remote, records: Records, log: Any) -> None:
        self._job = job
        self._remote = remote
        self._records = records
        self._log = log

    def obtain(self) -> tuple[Record, Started | None]:
        """The record of the one start, and its reply where this attempt has sent it."""
        before = self._records.load()
        rejoined = None if before is None else self._recovery().rejoin(before)
        return self._start() if rejoined is None else (rejoined, None)

    def _start(self) -> tuple[Record, Started | None]:
        """Write the intent, send the start, write the ref."""
        start_id = secrets.token_hex(6)
        self._remote.prepare(start_id)
        self._remote.check_wanted()
        work, system = self._remote.work, self._remote.system
        record = Record(
            start_id=start_id,
            started_at=now().isoformat(),
            marker=work.marker(start_id) if system.keeps_marker else "",
            is_called_back=work.expectation() is not None,
            options=work.kept_options(),
            **self._job.recorded(start_id),
        )
        self._records.save(record)
        try:
            started = self._remote.start(start_id, lambda: self._records.save(record))
        except TaskWatchError as error:
            if system.was_refused(error):
                self._records.forget()
                raise
            return self._recovery().after_lost_reply(record, error), None
        if started.ref is not None:
            self._log.info("started %s %s", system.noun, shown_ref(started.ref))
            record = replace(record, ref=started.ref)
            self._records.save(record)
        return record, started

    def _recovery(self) -> Recovery:
        from .recovery import Recovery

        return Recovery(self._job, self._remote, self._records, self._log)
