"""The shards and processes of a supervisor as its operator sees them: looked at, restarted, spoken through."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gateway_service.errors import ShardUnavailable
from gateway_service.ipc.messages import GatewayUrl, Permit, RestartMode, RestartShard, SupervisorMessage
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.protocol.constants import shard_id_of
from gateway_service.protocol.states import State
from gateway_service.refusals import ControlError
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.commands import Commands
from gateway_service.supervisor.desired import Desired
from gateway_service.supervisor.identify import PermitOwner
from gateway_service.supervisor.live_settings import LiveSettings, NewSettings
from gateway_service.supervisor.silence import SilenceDetector
from gateway_service.supervisor.slot import Slot
from gateway_service.supervisor.status import Snapshot
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

_IN_SESSION: Final = frozenset({State.LIVE, State.RESUMING})


TryStart = Callable[[GatewayOptions], Awaitable[None]]
"""Finds out whether a shard process with these options would start; raises TrialFailed."""


class Fleet:
    """Every slot of a supervisor."""

    def __init__(
        self, num_shards: int, desired: Desired, silence: SilenceDetector, settings: LiveSettings, try_start: TryStart
    ) -> None:
        """Start without slots and permits; they are set when they are made."""
        self.num_shards = num_shards
        self.settings = settings
        self._try_start = try_start
        self.permits: PermitOwner
        self._silence = silence
        self.slots: tuple[Slot, ...] = ()
        self.commands = Commands(self._tell, desired, num_shards)

    def snapshot(self) -> Snapshot:
        """Return where every shard and process is now, as of their last reports."""
        shards = [self._explained(shard) for slot in self.slots for shard in slot.shards()]
        return Snapshot(
            num_shards=self.num_shards,
            shards=tuple(sorted(shards, key=lambda shard: shard.shard_id)),
            processes=tuple(slot.snapshot() for slot in self.slots),
            identify_budget=self.permits.status(),
            state_error=self.permits.state_error,
            silences=dict(self._silence.counts),
            commands=self.commands.counts,
        )

    def _explained(self, shard: ShardStatus) -> ShardStatus:
        shard_id = shard.shard_id
        reason = shard.reason or self.permits.reason_to_wait(shard_id) or self._silence.reason(shard_id)
        return shard if reason == shard.reason else shard.model_copy(update={"reason": reason})

    def slot_of(self, shard_id: int) -> Slot:
        """Return the slot of a shard.

        Raises:
            ShardUnavailable: It does not belong to this service.
        """
        for slot in self.slots:
            if shard_id in slot.shard_ids:
                return slot
        raise ShardUnavailable(shard_id, "it does not belong to this service")

    def grant(self, shard_id: int, number: int, presence: dict[str, Any] | None) -> None:
        """Hand a permit on to the process of a shard."""
        self.slot_of(shard_id).send(Permit(shard_id=shard_id, number=number, presence=presence))

    def use_gateway(self, url: str) -> None:
        """Let every shard dial the generic gateway at ``url`` from now on."""
        for slot in self.slots:
            slot.send(GatewayUrl(url=url))

    @property
    def has_sessions(self) -> bool:
        """Tell whether a shard of ours has a session that Discord takes."""
        return any(shard.state in _IN_SESSION for slot in self.slots for shard in slot.shards())

    def restart_shard(self, shard_id: int, mode: RestartMode) -> None:
        """Let a shard make another connection: RESUME its session at once, or end it and IDENTIFY when it may.

        Raises:
            ShardUnavailable: It does not run here, or may not IDENTIFY now.
        """
        if mode == "identify" and (refusal := self.permits.refusal(shard_id)) is not None:
            raise ShardUnavailable(shard_id, f"it {refusal}; its session is kept")
        log_event(_log, logging.INFO, LogEvent.SHARD_RESTARTING, shard_id=shard_id, mode=mode)
        self._tell(shard_id, RestartShard(shard_id=shard_id, mode=mode))

    async def restart_process(self, index: int) -> None:
        """Let a shard process drain and start again; return when it runs. Its shards resume.

        Raises:
            ShardUnavailable: It does not run.
        """
        await self.slots[index].restart()

    async def take_settings(self, new: NewSettings) -> None:
        """Let every process that starts from now on work by other settings, once one without shards has done so.

        Raises:
            TrialFailed: It does not start; everything stays as it is.
        """
        await self._try_start(new.options)
        was = self.settings.current.presence
        self.settings.use(new)
        self.commands.desired.configured = new.presence.presence_of
        if new.options.presence != was or isinstance(was, str):  # a function may say something else now
            self.commands.presence_changed(shard_id for slot in self.slots for shard_id in slot.shard_ids)

    async def command(self, shard_id: int, op: int, data: Mapping[str, Any], timeout_s: float = 0.0) -> list[Any]:
        """Send a command to Discord; return ``d`` of each dispatch that answers it.

        Args:
            shard_id: A shard of this supervisor.
            op: 3, 4, 8, 31 or 43.
            data: ``d`` of the command.
            timeout_s: How long to wait for the answer; 0 returns when the shard has queued the command.

        Raises:
            ShardUnavailable: The shard's process does not run.
            ControlError: The command was refused, or not answered.
        """
        return await self.commands.send(shard_id, op, data, timeout_s)

    async def set_presence(
        self, presence: Mapping[str, Any] | None, shard_ids: Sequence[int]
    ) -> dict[int, ControlError]:
        """Keep a presence for shards of ours, and let them show it; None goes back to the configured one.

        Returns:
            Why shards could not be told now; they are once they are live. All others show it, or will when live.

        Raises:
            StateUnavailable: It cannot be kept; nothing was changed.
        """
        await self.commands.desired.set_presence(presence, shard_ids)
        return await self.commands.show_presence(shard_ids)

    async def set_voice_state(self, guild_id: int, voice: Mapping[str, Any]) -> None:
        """Keep the voice channel of a guild until it is left, and let its shard enter or leave it.

        Raises:
            ControlError: The shard cannot be told now; the wish is kept, and told once it is live.
            StateUnavailable: It cannot be kept; nothing was changed.
        """
        await self.commands.desired.set_voice_state(guild_id, voice)
        await self.commands.change_voice_channel(shard_id_of(guild_id, self.num_shards), voice)

    def _tell(self, shard_id: int, message: SupervisorMessage) -> None:
        self.slot_of(shard_id).tell(shard_id, message)
