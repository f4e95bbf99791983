"""Which shards a pod runs, by its ordinal: the number that a StatefulSet gives to each of its pods."""

import re

from gateway_service.settings.values import MAX_SHARD_COUNT, BadValue, whole_number


def parse_shards_per_pod(value: object, shard_count: object) -> int | None:
    """Read how many shards a pod has.

    Raises:
        BadValue: It is no such number, or the pods would each ask Discord for the shard count: what Discord recommends
            grows, and two pods that started on different days would disagree.
    """
    if value is None:
        return None
    per_pod = whole_number(value, at_least=1, at_most=MAX_SHARD_COUNT)
    if shard_count == "auto":
        raise BadValue("needs a shard_count that is a number, the same for all pods (GATEWAY_SHARD_COUNT)")
    return per_pod


def parse_ordinal(value: object, *, is_pod: bool, host_name: str) -> int | None:
    """Read which pod this is; without a value a pod is named by its host, such as ``gateway-3``."""
    if value is not None:
        ordinal = whole_number(value, at_least=0, at_most=MAX_SHARD_COUNT)
        if not is_pod:
            raise BadValue("means nothing without shards_per_pod (GATEWAY_SHARDS_PER_POD, --shards-per-pod)")
        return ordinal
    if not is_pod:
        return None
    found = re.fullmatch(r"[^.]*-([0-9]{1,6})(\..*)?", host_name, re.ASCII)
    if found is None:
        raise BadValue(
            f"is not set, and the host name {host_name!r} does not end in one, as in 'gateway-3'"
            " (GATEWAY_ORDINAL, --ordinal)"
        )
    return int(found[1])


def shards_of_pod(ordinal: int, per_pod: int, shard_count: int) -> tuple[int, ...]:
    """Return the shards of one pod; the last pod may have fewer than the others.

    Raises:
        BadValue: No shard is left for it. It must not wait and look healthy: the number of pods is wrong.
    """
    first = ordinal * per_pod
    if first >= shard_count:
        raise BadValue(
            f"pod {ordinal} would begin at shard {first}, but the shard count is {shard_count}: "
            f"with {per_pod} in each, pods go from 0 to {(shard_count - 1) // per_pod}"
        )
    return tuple(range(first, min(first + per_pod, shard_count)))
