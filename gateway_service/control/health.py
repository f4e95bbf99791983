"""Is the service ready? Pure: decided from one snapshot."""

from collections import Counter

from gateway_service.supervisor import Snapshot


def why_not_ready(snapshot: Snapshot) -> list[str]:
    """Return one sentence for each reason not to be ready; none when every shard is live and its broker is up."""
    reasons = []
    states = Counter(shard.state for shard in snapshot.shards if shard.state != "live")
    reasons += [f"{count} of {len(snapshot.shards)} shards are {state}" for state, count in sorted(states.items())]
    reasons += [
        f"shard {shard.shard_id} is FATAL: {shard.reason or 'no reason is known'}"
        for shard in snapshot.shards
        if shard.state == "FATAL"
    ]
    for process in snapshot.processes:
        if process.state != "RUNNING":
            reasons.append(f"process {process.index} is {process.state}")
        elif process.status is not None and process.status.broker != "up":
            why = f": {process.status.broker_error}" if process.status.broker_error else ""
            reasons.append(f"process {process.index}: the broker is {process.status.broker}{why}")
    if state_error := why_state_fails(snapshot):
        reasons.append(f"nobody can IDENTIFY and sessions are kept in memory: {state_error}")
    return reasons or ([] if snapshot.shards else ["no shard was started yet"])


def why_state_fails(snapshot: Snapshot) -> str | None:
    """Return why the state store cannot be used, by the word of the supervisor or of a process; None when it can."""
    statuses = [process.status for process in snapshot.processes if process.status is not None]
    return next(filter(None, [snapshot.state_error, *(status.state_error for status in statuses)]), None)
