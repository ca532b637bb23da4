"""Automic's groups of status numbers, by which a user names statuses.

* https://docs.automic.com/documentation/WEBHELP/English/AA/21.0/DOCU/21.0.11/Automic%20Automation%20Guides/Content/AWA/Executions/ReturnCodesExec.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import members

from .status import number_of

_ANY_OK = frozenset(range(1900, 2000))
_INACTIVE = frozenset((1919, 1920, 1921, 1922, 1925))
_AGENT = frozenset((1685, 1688, 1689, 1694, 1696))
_AGENT_GROUP = frozenset((1686, 1687))
GROUPS: Mapping[str, frozenset[int]] = {
    "ANY_ABEND": frozenset(range(1800, 1900)),
    "ANY_ABEND_EXCEPT_FAULT": frozenset((*range(1800, 1816), *range(1850, 1900))),
    "ANY_ACTIVE": frozenset(range(1300, 1800)),
    "ANY_BLOCKED": frozenset((1560, 1562)),
    "ANY_BLOCKED_OR_STOPPED": frozenset(range(1560, 1565)),
    "ANY_EXCEPT_FAULT": frozenset((*range(1800, 1816), *range(1850, 2000))),
    "ANY_OK": _ANY_OK,
    "ANY_OK_OR_UNBLOCKED": _ANY_OK | {1899},
    "ANY_SKIPPED": frozenset((1920, 1922, 1930, 1931, 1933, 1940, 1941, 1942)),
    "ANY_STOPPED": frozenset((1561, 1563, 1564)),
    "ANY_WAITING": frozenset((1301, *range(1682, 1701), 1709, 1710)),
    "ENDED_CANCEL": frozenset((1850, 1851)),
    "ENDED_EMPTY": frozenset((1910, 1912)),
    "ENDED_ESCALATED": frozenset((1856,)),
    "ENDED_INACTIVE": _INACTIVE,
    "ENDED_INACTIVE_MANUAL": frozenset((1922,)),
    "ENDED_NOT_OK": frozenset((1800,)),
    "ENDED_NOT_OK_SYNC": frozenset((1801,)),
    "ENDED_OK": frozenset((1900,)),
    "ENDED_OK_OR_EMPTY": frozenset((1900, 1910, 1912)),
    "ENDED_OK_OR_INACTIVE": frozenset((1900, 1920, 1921, 1922)),
    "ENDED_OK_OR_UNBLOCKED": frozenset((1899, 1900)),
    "ENDED_SKIPPED": frozenset((1930, 1931, 1933)),
    "ENDED_SKIPPED_CONDITIONS": frozenset((1933,)),
    "ENDED_SKIPPED_SYNC": frozenset((1931,)),
    "ENDED_TIMEOUT": frozenset((1940, 1941, 1942)),
    "ENDED_TRUNCATE": frozenset((1911,)),
    "ENDED_UNDEFINED": frozenset((1815,)),
    "ENDED_VANISHED": frozenset((1810,)),
    "FAULT_ALREADY_RUNNING": frozenset((1822,)),
    "FAULT_NO_HOST": frozenset((1821,)),
    "FAULT_OTHER": frozenset((1820,)),
    "USER_100_200": frozenset(range(100, 201)),
    "USER_147": frozenset((147,)),
    "USER_201_299": frozenset(range(201, 300)),
    "USER_300": frozenset((300,)),
    "USER_510": frozenset((510,)),
    "USER_690": frozenset((690,)),
    "WAITING_AGENT": _AGENT,
    "WAITING_AGENTGROUP": _AGENT_GROUP,
    "WAITING_AGENT_OR_AGENTGROUP": _AGENT | _AGENT_GROUP,
    "WAITING_EXTERNAL": frozenset((1690,)),
    "WAITING_GROUP": frozenset((1710,)),
    "WAITING_QUEUE": frozenset((1684,)),
    "WAITING_SYNC": frozenset((1697,)),
}
"""The task states of the vendor's public Java API (``com.uc4.api.objects.TaskState``).

The vendor's documents spell some names ``INACTIV``, which :func:`expand` accepts, too. The ``USER_`` states are return
codes of jobs, below the range of the system's own.
"""

_INACTIV = re.compile(r"INACTIV(?!E)")


def expand(statuses: object) -> frozenset[int]:
    """The numbers of a list of numbers and group names, or of a single one."""
    many = members(statuses)
    return frozenset().union(*map(_expand_one, (statuses,) if many is None else many))


def _expand_one(status: object) -> frozenset[int]:
    number = number_of(status)
    if number is not None and 1300 <= number <= 1999:
        return frozenset((number,))
    name = _INACTIV.sub("INACTIVE", str(status).strip().upper())
    try:
        return GROUPS[name]
    except KeyError:
        raise ConfigurationError(
            f"{status!r:.80} is not an Automic status; give numbers from 1300 to 1999 or group names: "
            + ", ".join(GROUPS)
        ) from None
