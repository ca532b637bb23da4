"""Automic's status numbers, with their phases.

Only numbers are compared, as texts depend on language and version. The texts here are shortened, and shown if the
engine sends none.

* https://docs.automic.com/documentation/WEBHELP/English/AA/21.0/DOCU/21.0.11/Automic%20Automation%20Guides/Content/AWA/Executions/ReturnCodesExec.htm
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_taskwatch.core.phase import Phase

_TEXTS: Mapping[Phase, Mapping[int, str]] = {
    Phase.RUNNING: {
        1300: "preparing",
        1310: "operation not initialised",
        1510: "transferred",
        1520: "ready to transfer, before connect",
        1521: "ready to transfer",
        1529: "ready for generation",
        1530: "ready to start",
        1531: "to be notified or called",
        1540: "start initiated",
        1541: "checking",
        1542: "calling or notifying",
        1543: "unknown",
        1544: "inconsistent",
        1545: "started",
        1546: "connecting",
        1547: "remote task manager inconsistent",
        1550: "active",
        1551: "transferring",
        1552: "called or notified",
        1553: "accepted",
        1554: "sampling files",
        1556: "escalated",
        1557: "custom backup",
        1558: "file backup",
        1565: "send finished",
        1566: "skipping: timeout",
        1567: "skipping: condition",
        1568: "skipping: manually inactive",
        1569: "skipping: SYNC",
        1570: "skipping",
        1571: "cancelling",
        1572: "generating",
        1573: "generated",
        1574: "post-processing",
        1575: "ending",
        1576: "regenerating",
        1578: "searching files",
        1579: "searching reports",
        1580: "resolving variables",
        1581: "checking postconditions",
        1582: "checking prompt values",
        1583: "looping",
        1584: "computing the estimated runtime",
        1590: "custom rollback",
        1591: "file rollback",
        1592: "agent group rollback",
        1593: "workflow rollback",
        1599: "alive (user view)",
    },
    Phase.BLOCKED: {
        1301: "waiting for user input",
        1560: "workflow blocked",
        1561: "stopped, client-wide",
        1562: "stopped by hand",
        1563: "automatic processing stopped",
        1564: "queue stopped",
        1681: "waiting for a user",
        1693: "waiting for manual release",
    },
    Phase.PENDING: {
        1600: "internal check",
        1655: "waiting for rollback",
        1665: "waiting for external parameters",
        1680: "checking preconditions",
        1682: "waiting for variable resolution",
        1683: "waiting for a remote resource",
        1684: "waiting for a queue slot",
        1685: "waiting for the host, for post-processing",
        1686: "waiting for the agent group container",
        1687: "waiting for parallel agent group tasks",
        1688: "waiting for the agent group's host",
        1689: "waiting: maximum of file transfers",
        1690: "waiting for an external dependency",
        1691: "waiting for a remote system",
        1692: "waiting for a remote SYNC",
        1694: "waiting: maximum of jobs",
        1695: "waiting for the restart time",
        1696: "waiting for the host",
        1697: "waiting for a SYNC",
        1698: "waiting for the start time",
        1699: "alive (user view)",
        1700: "waiting for the predecessor",
        1701: "sleeping",
        1702: "not yet notified",
        1703: "waiting for preconditions",
        1704: "checking preconditions",
        1705: "switching log",
        1709: "waiting for parallel tasks",
        1710: "registered",
        1711: "queued",
        1799: "dead (user view)",
    },
    Phase.FAILED: {
        1800: "ended not ok, aborted",
        1801: "aborted by SYNC",
        1802: "not run, the workflow was aborted",
        1820: "cannot start",
        1821: "cannot start: host unreachable",
        1822: "cannot start: already running",
        1823: "fault in post-processing",
        1824: "fault in postconditions",
        1825: "fault in custom backup",
        1826: "fault in file backup",
        1827: "fault in custom rollback",
        1828: "fault in file rollback",
        1829: "fault in agent group rollback",
        1830: "fault in rollback",
        1852: "rejected",
        1856: "ended, escalated",
        1860: "notification failed",
        1897: "violated",
        1898: "blocked",
        1899: "blocked, reset by hand",
    },
    Phase.LOST: {
        1810: "vanished",
        1815: "lost, the agent ended",
    },
    Phase.CANCELLED: {
        1850: "cancelled by hand",
        1851: "workflow cancelled by hand",
        1853: "cancelled by the queue",
        1854: "cancelled by the container",
    },
    Phase.SUCCEEDED: {
        1900: "ended ok",
        1901: "acknowledged",
        1902: "queue end",
        1903: "container end",
        1904: "rolled back",
        1905: "workflow rolled back",
        1910: "empty",
        1911: "truncated, not everything was transferred",
        1912: "empty, nothing was found",
        1913: "no rollback is defined",
        1943: "ending",
        1960: "notification ok",
        1970: "operation ok",
        1997: "fulfilled",
        1999: "SYNC check done",
    },
    Phase.SKIPPED: {
        1919: "inactive: logical date",
        1920: "inactive: calendar",
        1921: "inactive: definition",
        1922: "inactive: by hand",
        1923: "deleted",
        1924: "not processed",
        1925: "inactive: object",
        1926: "branch not taken",
        1930: "skipped: WHEN clause",
        1931: "skipped: SYNC",
        1932: "skipped: the schedule ended",
        1933: "skipped: conditions",
        1934: "skipped by hand",
        1940: "timeout: dependency",
        1941: "timeout: the start time has passed",
        1942: "timeout: ended early",
        1944: "timeout: the period stopped",
    },
}

PHASES = {number: phase for phase, texts in _TEXTS.items() for number in texts}
TEXTS = {number: text for texts in _TEXTS.values() for number, text in texts.items()}

_RANGES = (
    (range(1300, 1800), Phase.RUNNING),
    (range(1800, 1900), Phase.FAILED),
    (range(1900, 2000), Phase.SUCCEEDED),
)

_NUMBER_LIMIT = 10**9


def number_of(status: object) -> int | None:
    """A number of up to nine digits, from a number or a string; None if it is neither."""
    if isinstance(status, str):
        text = status.strip()
        return int(text) if text.isdecimal() and len(text) < 10 else None
    if isinstance(status, int) and not isinstance(status, bool) and abs(status) < _NUMBER_LIMIT:
        return status
    return None


def phase_of(number: int | None) -> Phase:
    """The phase of a number. A number that the table does not list is judged by its range."""
    if number in PHASES:
        return PHASES[number]
    return next((phase for numbers, phase in _RANGES if number in numbers), Phase.UNKNOWN)
