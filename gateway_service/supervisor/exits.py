"""How often a shard process ended without being asked to, and what follows from it."""

from typing import Protocol

from gateway_service.errors import EX_CONFIG
from gateway_service.supervisor.policy import GiveUp, Policy, Restart, after_exit, exit_meaning


class Owner(Protocol):
    """Whoever runs the slots and decides what a loss means for the others."""

    def shard_stopped(self, shard_id: int, code: int | None, reason: str) -> None:
        """Discord refused a shard for good."""

    def slot_given_up(self, index: int, decision: GiveUp) -> None:
        """A slot will never start a process again."""


class Exits:
    """The unwanted ends of one planned process."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._recent: list[float] = []
        self.count = 0
        """All of them; the last may not have been followed by a start."""
        self.last: str | None = None
        """How it ended the last time."""

    def add(self, exit_code: int, now: float, *, has_shards: bool) -> Restart | GiveUp:
        """Count one end at ``now`` (monotonic seconds) and decide what follows."""
        self._recent = [at for at in (*self._recent, now) if now - at < self._policy.window_s]
        self.count += 1
        self.last = exit_meaning(exit_code)
        if not has_shards:
            return GiveUp("Discord refused every shard of it", EX_CONFIG)
        return after_exit(exit_code, self._recent, now, self._policy)
