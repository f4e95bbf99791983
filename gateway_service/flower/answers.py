"""What several supervisors answered: who did, for which shards, and what was refused. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway_service.refusals import UnknownShard


def hosts_of(answers: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the supervisors that answered, be it with a refusal."""
    return frozenset(str(answer.get("error", answer)["host"]) for answer in answers)


def all_of(hosts: frozenset[str]) -> Callable[[Sequence[Mapping[str, Any]]], bool]:
    """Return what tells whether all of these have answered."""
    return lambda answers: hosts <= hosts_of(answers)


def missing_of(wanted: frozenset[int], answers: Sequence[Mapping[str, Any]]) -> frozenset[int]:
    """Return the wanted shards for which nobody answered; none when one that there is not was among them.

    Every supervisor knows how many shards the bot has: what one of them says of that is the answer.
    """
    if any(answer.get("error", {}).get("code") == UnknownShard.code for answer in answers):
        return frozenset()
    return wanted.difference(*(answer.get("shard_ids", ()) for answer in answers))


def refused(answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what was refused, as :meth:`ControlError.to_json` has it."""
    found: list[dict[str, Any]] = []
    for answer in answers:
        found += [dict(answer["error"])] if "error" in answer else map(dict, answer.get("failures", ()))
    return found
