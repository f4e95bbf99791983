"""What the control plane needs from a supervisor and from the other hosts, and nothing more."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from gateway_service.refusals import ControlError
from gateway_service.supervisor import Snapshot
from gateway_service.supervisor.live_settings import LiveSettings, NewSettings


class Service(Protocol):
    """The fleet of a running supervisor. Every method may raise ShardUnavailable or a ControlError."""

    def snapshot(self) -> Snapshot:
        """Return where every shard and process is."""

    @property
    def settings(self) -> LiveSettings:
        """The settings in force; reading them again may raise ConfigurationError."""

    async def take_settings(self, new: NewSettings) -> None:
        """Let processes that start from now on work by them; may raise TrialFailed."""

    def restart_shard(self, shard_id: int, mode: Literal["resume", "identify"]) -> None:
        """Let a shard of ours make another connection."""

    async def restart_process(self, index: int) -> None:
        """Drain a process and start it again; returns when it runs."""

    async def command(self, shard_id: int, op: int, data: Mapping[str, Any], timeout_s: float = 0.0) -> list[Any]:
        """Send a command to Discord through a shard of ours.

        Args:
            shard_id: A shard of ours.
            op: 3, 4, 8, 31 or 43.
            data: Its ``d``.
            timeout_s: How long to wait for Discord's answer; 0 returns as soon as the shard has queued it.
        """

    async def set_presence(
        self, presence: Mapping[str, Any] | None, shard_ids: Sequence[int]
    ) -> dict[int, ControlError]:
        """Keep a presence for shards of ours and let them show it; return why some cannot be told now."""

    async def set_voice_state(self, guild_id: int, voice: Mapping[str, Any]) -> None:
        """Keep the voice channel of a guild of ours and let its shard enter it."""


ANSWERS_WITHIN_S: Final[Mapping[Literal["inspect", "control"], float]] = {"inspect": 2.0, "control": 5.0}
"""How long a supervisor may take to answer, by the kind of the operation and beside the time that this one takes.

Who is told that nobody answered does it again, so what changes something is worth a longer wait.
"""

Collected = Callable[[Sequence[dict[str, Any]]], bool]


class Peers(Protocol):
    """The other supervisors of the bot, over the broker."""

    async def ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        *,
        timeout_s: float,
        is_enough: Collected,
        host: str = "",
        caller: str = "",
    ) -> Sequence[dict[str, Any]]:
        """Ask them, and return the replies of those concerned.

        Args:
            operation: Name of an operation.
            arguments: As JSON values.
            timeout_s: How long replies are collected.
            is_enough: Tells whether the replies so far are all that matter.
            host: Node name of the only one that is asked; empty for all.
            caller: On whose behalf, for the log of who is asked; empty for our own.
        """
