"""Which shards run here, and in which process each. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from gateway_service.errors import ConfigurationError


def shards_to_run(shards: Sequence[int] | None, num_shards: int) -> tuple[int, ...]:
    """Return the shard ids of this host in order; None means all.

    Raises:
        ConfigurationError: A shard does not exist among ``num_shards``, or there is none.
    """
    if num_shards < 1:
        raise ConfigurationError(f"shard_count: must be at least 1, not {num_shards} (GATEWAY_SHARD_COUNT)")
    if shards is None:
        return tuple(range(num_shards))
    shard_ids = sorted(set(shards))
    if not shard_ids:
        raise ConfigurationError("shards: names no shard; leave it out for all of them (GATEWAY_SHARDS, --shards)")
    if absent := [shard_id for shard_id in shard_ids if not 0 <= shard_id < num_shards]:
        raise ConfigurationError(
            f"shards: names shard {absent[-1]}, but the shard count is {num_shards}: ids go from 0 to {num_shards - 1}"
            " (GATEWAY_SHARDS, --shards)"
        )
    return tuple(shard_ids)


def processes_for(shard_ids: Sequence[int], processes: int | None, cpu_count: int) -> tuple[tuple[int, ...], ...]:
    """Divide shards over processes in contiguous blocks whose sizes differ by one at most.

    Args:
        shard_ids: In order.
        processes: How many were asked for; None for one per CPU. Never more than there are shards.
        cpu_count: CPUs that this process may use.

    Raises:
        ConfigurationError: ``processes`` is below 1.
    """
    if processes is not None and processes < 1:
        raise ConfigurationError(f"processes: must be at least 1, not {processes} (GATEWAY_PROCESSES, --processes)")
    count = min(cpu_count if processes is None else processes, len(shard_ids))
    bounds = [len(shard_ids) * index // count for index in range(count + 1)]
    return tuple(tuple(shard_ids[start:end]) for start, end in pairwise(bounds))


def as_ranges(shard_ids: Sequence[int]) -> str:
    """Return ``0-3,8`` for 0, 1, 2, 3, 8."""
    parts: list[list[int]] = []
    for shard_id in shard_ids:
        if parts and parts[-1][-1] == shard_id - 1:
            parts[-1][1:] = [shard_id]
        else:
            parts.append([shard_id])
    return ",".join("-".join(map(str, part)) for part in parts)
