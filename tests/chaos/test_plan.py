from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos.plan import RESTS, Job, Kind, Point, make_jobs, read, with_kills, write


def jobs(count: int = 100) -> list[Job]:
    return make_jobs(count, longest_seconds=60.0)


def test_a_plan_is_the_same_every_time_and_has_every_kind() -> None:
    assert jobs() == jobs()
    assert {job.kind for job in jobs(24)} == set(Kind)


def test_every_job_has_a_unique_name() -> None:
    assert max(Counter(job.name for job in jobs(300)).values()) == 1


def test_every_point_and_both_victims_occur_at_both_remotes() -> None:
    killed = Counter((job.kind, job.point, job.victim) for job in with_kills(jobs(), of_ten=10) if job.point)
    for kind in (Kind.AUTOMIC, Kind.ACQUIA):
        assert sum(one[0] is kind for one in killed) == 2 * len(Point)


def test_each_kind_of_rest_task_is_killed_while_its_request_is_answered_in_a_short_run() -> None:
    killed = {(job.kind, job.point) for job in with_kills(jobs(48), of_ten=10)}
    assert killed >= {(kind, point) for kind in RESTS for point in (Point.SENT, Point.REPLIED)}


def test_a_job_with_a_user_or_a_failure_keeps_its_worker() -> None:
    assert not any(job.point for job in with_kills(jobs(), of_ten=10) if job.user or job.ends != ("success",))


def test_a_plan_without_kills_has_no_points() -> None:
    assert with_kills(jobs(), of_ten=0) == jobs()


def test_the_jobs_in_a_file_are_the_jobs_that_were_written(tmp_path: Path) -> None:
    planned = with_kills(jobs(), of_ten=5)
    write(planned, tmp_path / "jobs.json")
    assert read(tmp_path / "jobs.json") == planned
