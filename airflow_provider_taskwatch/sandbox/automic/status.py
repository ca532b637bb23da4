"""The 145 statuses of an Automic execution: number, our phase, and a text in English or German.

Texts are the vendor's, shortened; they differ between versions and languages, so nothing may depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_taskwatch.core.phase import Phase

_ENGLISH: Mapping[Phase, str] = {
    Phase.RUNNING: """
        1300 Preparing / 1310 Operation not initialized / 1510 Transferred
        1520 Ready to transfer, before connect / 1521 Ready to transfer / 1529 Ready for generation
        1530 Ready to start / 1531 To be notified / 1540 Start initiated / 1541 Checking / 1542 Calling
        1543 Unknown / 1544 Inconsistent / 1545 Started / 1546 Connecting
        1547 Remote task manager inconsistent / 1550 Active / 1551 Transferring / 1552 Called
        1553 Accepted / 1554 Sampling files / 1556 Escalated / 1557 Custom backup / 1558 File backup
        1565 Send finished / 1566 Skipping, timeout / 1567 Skipping, condition
        1568 Skipping, manually inactive / 1569 Skipping, sync / 1570 Skipping / 1571 Cancelling
        1572 Generating / 1573 Generated / 1574 Post-processing / 1575 Ending / 1576 Regenerating
        1578 Searching files / 1579 Searching reports / 1580 Resolving variables
        1581 Checking postconditions / 1582 Checking prompt values / 1583 Looping / 1584 Computing ERT
        1590 Custom rollback / 1591 File rollback / 1592 Agent group rollback / 1593 Workflow rollback
        1599 Alive
    """,
    Phase.BLOCKED: """
        1301 Waiting for user input / 1560 Workflow is blocked / 1561 Stop, client-wide / 1562 Manual stop
        1563 Automatic processing stopped / 1564 Queue stopped / 1681 Waiting for user
        1693 Waiting for manual release
    """,
    Phase.PENDING: """
        1600 Internal check / 1655 Rollback / 1665 Waiting for external parameters
        1680 Checking preconditions / 1682 Waiting for variable resolution
        1683 Waiting for remote resource / 1684 Waiting for queue slot
        1685 Waiting for host for post-processing / 1686 Waiting for start of agent group container
        1687 Waiting for parallel agent group tasks / 1688 Waiting for agent group host
        1689 Waiting for end of file transfers / 1690 Waiting for external dependency
        1691 Waiting for remote system / 1692 Waiting for remote SYNC / 1694 Waiting for end of jobs
        1695 Waiting for restart time / 1696 Waiting for host / 1697 Waiting for SYNC
        1698 Waiting for start time / 1699 Alive / 1700 Waiting for predecessor / 1701 Sleeping
        1702 Not yet notified / 1703 Waiting for preconditions / 1704 Checking preconditions
        1705 Switching log / 1709 Waiting for parallel tasks / 1710 Registered / 1711 Queued / 1799 Dead
    """,
    Phase.FAILED: """
        1800 ENDED_NOT_OK - aborted / 1801 ENDED_NOT_OK - aborted by SYNC
        1802 ENDED_NOT_OK - not run, workflow aborted / 1820 FAULT_OTHER - start impossible
        1821 FAULT_NO_HOST - host not reachable / 1822 FAULT_ALREADY_RUNNING - already running
        1823 FAULT_POST_PROCESSING - error in post-processing
        1824 FAULT_POSTCONDITION - error in postcondition / 1825 Custom backup failed
        1826 File backup failed / 1827 Custom rollback failed / 1828 File rollback failed
        1829 Agent group rollback failed / 1830 Rollback failed / 1852 ENDED_REJECTED - rejected
        1856 ENDED_ESCALATED - aborted due to escalation / 1860 Notification failed / 1897 Violated
        1898 Blocked / 1899 Blocked state reset manually
    """,
    Phase.LOST: """
        1810 ENDED_VANISHED - vanished / 1815 ENDED_LOST - end undefined
    """,
    Phase.CANCELLED: """
        1850 ENDED_CANCEL - manually cancelled / 1851 ENDED_JP_CANCEL - workflow manually cancelled
        1853 ENDED_QUEUE_CANCEL - cancelled by queue / 1854 ENDED_CONTAINER_CANCEL - cancelled by container
    """,
    Phase.SUCCEEDED: """
        1900 ENDED_OK - ended normally / 1901 ENDED_OK - manually acknowledged
        1902 ENDED_OK - end of queue / 1903 ENDED_OK - end of container / 1904 Rolled back
        1905 Workflow rolled back / 1910 ENDED_EMPTY - empty task
        1911 ENDED_TRUNCATE - not everything transferred / 1912 ENDED_EMPTY - nothing found
        1913 No rollback defined / 1943 Ending / 1960 Notification ended normally
        1970 Operation ended normally / 1997 Fulfilled / 1999 SYNC check finished
    """,
    Phase.SKIPPED: """
        1919 ENDED_INACTIVE - logical date / 1920 ENDED_INACTIVE - calendar
        1921 ENDED_INACTIVE - definition / 1922 ENDED_INACTIVE - manually / 1923 Deleted / 1924 Unprocessed
        1925 ENDED_INACTIVE - object inactive / 1926 Branch not taken / 1930 ENDED_SKIPPED - WHEN clause
        1931 ENDED_SKIPPED - SYNC / 1932 ENDED_SKIPPED - schedule ended / 1933 ENDED_SKIPPED - conditions
        1934 ENDED_SKIPPED - manually / 1940 ENDED_TIMEOUT - dependency
        1941 ENDED_TIMEOUT - start time passed / 1942 ENDED_TIMEOUT - ended early
        1944 ENDED_TIMEOUT - period stopped
    """,
}

_GERMAN_TEXTS = """
        1550 Aktiv / 1560 Workflow ist blockiert / 1564 Queue gestoppt / 1693 Wartet auf manuelle Freigabe
        1698 Wartet auf Startzeit / 1700 Wartet auf Vorgänger / 1710 Registriert
        1800 ENDED_NOT_OK - abgebrochen / 1815 ENDED_LOST - Ende undefiniert
        1850 ENDED_CANCEL - manuell abgebrochen / 1851 ENDED_JP_CANCEL - Workflow manuell abgebrochen
        1900 ENDED_OK - normal beendet
    """


def _parse(table: str) -> dict[int, str]:
    rows = (row.strip() for line in table.splitlines() for row in line.split(" / "))
    return {int(row[:4]): row[5:] for row in rows if row}


PHASES = {status: phase for phase, table in _ENGLISH.items() for status in _parse(table)}
TEXTS = {
    "en": {status: text for table in _ENGLISH.values() for status, text in _parse(table).items()},
    "de": _parse(_GERMAN_TEXTS),
}

_RANGES = (
    (range(1300, 1800), Phase.RUNNING),
    (range(1800, 1900), Phase.FAILED),
    (range(1900, 2000), Phase.SUCCEEDED),
)


def phase(status: str) -> Phase:
    """Our word for a status, by its range where the number is not in the table."""
    number = int(status) if status.isdecimal() else 0
    ranges = (phase for numbers, phase in _RANGES if number in numbers)
    return PHASES.get(number) or next(ranges, Phase.UNKNOWN)


def text(status: str, language: str) -> str:
    """The text of a status; empty where there is none."""
    number = int(status) if status.isdecimal() else 0
    return TEXTS.get(language, {}).get(number) or TEXTS["en"].get(number, "")
