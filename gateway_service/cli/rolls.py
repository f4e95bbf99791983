"""What hosts tell of their rolling restarts, taken together. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway_service.refusals import NotReady, OperationFailed, OtherHost

Roll = Mapping[str, Any]
"""A ``RollView`` as JSON values."""


def is_rolling(rolls: Sequence[Roll]) -> bool:
    """Tell whether a host is under way."""
    return any(roll["state"] == "rolling" for roll in rolls)


def waiting_in(rolls: Sequence[Roll]) -> frozenset[str]:
    """Return the hosts whose turn comes; what they tell is of a roll before."""
    return frozenset(host for roll in rolls if roll["state"] == "rolling" for host in roll["then"])


def begun_in(rolls: Sequence[Roll], before: Mapping[str, float | None]) -> list[Roll]:
    """Return the rolls that began since.

    Args:
        rolls: The last ones of all hosts.
        before: When the last roll of each host in question began, as of a moment ago; None where there was none.
    """
    return [roll for roll in rolls if roll["host"] in before and roll["began_at"] not in (None, before[roll["host"]])]


def left_out_of(rolls: Sequence[Roll], before: Mapping[str, float | None]) -> list[dict[str, object]]:
    """Return a failure for each host that is silent or did not begin, and for each process that was passed over.

    The arguments are those of :func:`begun_in`.
    """
    silent = before.keys() - {roll["host"] for roll in rolls}
    begun = {roll["host"]: roll for roll in begun_in(rolls, before)}
    failures: list[dict[str, object]] = []
    for host in sorted(before):
        if host in silent:
            words = f"{host} does not answer, so nobody knows how far its roll is"
            failures.append(OtherHost(words).to_json(host))
        elif host not in begun:
            words = f"{host} has not rolled: no host handed the roll on to it, or its service was started anew"
            failures.append(OperationFailed(words).to_json(host))
        else:
            for index in begun[host]["passed_over"]:
                words = f"process {index} of {host} was given up, so the roll passed it over; restart the service"
                failures.append(NotReady(words).to_json(host))
    return failures
