"""Commands to Discord on their way through the shard processes, and the desired state that is sent without asking."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

from gateway_service.errors import ShardUnavailable, StateUnavailable
from gateway_service.ipc.messages import Command, CommandDone, SupervisorMessage
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.protocol.constants import Opcode, shard_id_of
from gateway_service.protocol.states import State
from gateway_service.refusals import ControlError, NotReady
from gateway_service.supervisor.desired import Desired, is_leave

# A process answers within its time; so much later it has other troubles, and its watchdog sees to them.
_GRACE_S: Final = 5.0
_KEPT: Final = "what is wanted is kept, and told to Discord once the shard is live"


class Commands:
    """Sends commands to the processes of shards and waits for what becomes of them."""

    def __init__(self, tell: Callable[[int, SupervisorMessage], None], desired: Desired, num_shards: int) -> None:
        """Start with none.

        Args:
            tell: Sends a message to the process of a shard; raises ShardUnavailable.
            desired: What to send after each new IDENTIFY.
            num_shards: Of the bot.
        """
        self.desired = desired
        self.counts: Counter[tuple[int, str]] = Counter()
        """By opcode and outcome."""
        self._tell = tell
        self._num_shards = num_shards
        self._ids = count(1)
        self._waiting: dict[int, tuple[int, asyncio.Future[CommandDone]]] = {}
        self._told: set[int] = set()
        """Shards that were told what is desired since their last IDENTIFY."""
        self._owed = {shard_id for shard_id in range(num_shards) if desired.is_kept_for(shard_id, num_shards)}
        """Shards of which nobody knows whether Discord was told: their process ended, perhaps with it in its queue."""
        self._leaving: dict[int, set[int]] = {}
        """By shard, the guilds whose leave its process took and perhaps has not sent yet."""
        self._applying: set[asyncio.Task[Any]] = set()

    async def send(self, shard_id: int, op: int, data: Mapping[str, Any], timeout_s: float = 0.0) -> list[Any]:
        """Send one command; return ``d`` of each dispatch of Discord's answer, none for a timeout of 0.

        Raises:
            ShardUnavailable: The process of the shard does not run.
            ControlError: The command was refused, or not answered.
        """
        number = next(self._ids)
        future: asyncio.Future[CommandDone] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (shard_id, future)
        try:
            self._tell(shard_id, Command(id=number, shard_id=shard_id, op=op, data=dict(data), timeout_s=timeout_s))
            async with asyncio.timeout(timeout_s + _GRACE_S):
                done = await future
        except TimeoutError:
            done = CommandDone(id=number, error=NotReady.code, message="its process does not answer")
        except ShardUnavailable:
            self.counts[op, NotReady.code] += 1
            raise
        finally:
            del self._waiting[number]
        self.counts[op, done.error or "ok"] += 1
        if done.error is not None:
            facts = {"code": done.error, "message": f"shard {shard_id}: {done.message}", "shard_id": shard_id}
            raise ControlError.from_json({**facts, "retry_after_s": done.retry_after_s})
        if op == Opcode.VOICE_STATE_UPDATE and is_leave(data):
            self._leaving.setdefault(shard_id, set()).add(int(data["guild_id"]))
        return done.result

    async def show_presence(self, shard_ids: Sequence[int]) -> dict[int, ControlError]:
        """Let shards show their desired presence; return why some cannot be told now. They are once they are live."""
        refusals = await asyncio.gather(*(self._show_presence(shard_id) for shard_id in shard_ids))
        return {shard_id: refusal for shard_id, refusal in zip(shard_ids, refusals, strict=True) if refusal is not None}

    def presence_changed(self, shard_ids: Iterable[int]) -> None:
        """Let shards show what is configured now; those that cannot be told are told once they are live."""
        for shard_id in shard_ids:
            self._apply(self._show_presence(shard_id))

    async def change_voice_channel(self, shard_id: int, voice: Mapping[str, Any]) -> None:
        """Let a shard enter or leave a voice channel; if it cannot be told now, it is told when it is live.

        Raises:
            ControlError: It cannot be told now.
        """
        refusal = await self._tell_desired(shard_id, Opcode.VOICE_STATE_UPDATE, voice)
        if refusal is not None:
            raise refusal

    # What slots tell.

    def done(self, message: CommandDone) -> None:
        """A process is done with a command."""
        _, future = self._waiting.get(message.id, (0, None))
        if future is not None and not future.done():
            future.set_result(message)

    def gone(self, shard_ids: Iterable[int]) -> None:
        """A process ended, and with it all commands of its shards."""
        ended = frozenset(shard_ids)
        self._owed |= self._told & ended
        for shard_id in ended:
            self._leaving.pop(shard_id, None)  # sent or not: the next process is told again
        for number, (shard_id, future) in self._waiting.items():
            if shard_id in ended and not future.done():
                future.set_result(CommandDone(id=number, error=NotReady.code, message="its process ended"))

    def reported(self, shards: Sequence[ShardStatus]) -> None:
        """Shards said how they are: a resumed session may lack what is desired, and is told once it is live."""
        if self._leaving:
            for shard in shards:
                if not shard.queued_commands and (left := self._leaving.pop(shard.shard_id, None)):
                    self._apply(self._forget_left(left))
        if not self._owed:
            return
        for shard_id in self._owed & {shard.shard_id for shard in shards if shard.state == State.LIVE}:
            self._owed.discard(shard_id)
            self._apply(self._show_presence(shard_id))
            for voice in self._voice_states(shard_id).values():
                self._apply(self._tell_desired(shard_id, Opcode.VOICE_STATE_UPDATE, voice))

    def identified(self, shard_id: int) -> None:
        """A shard begins a new session: its presence is in the IDENTIFY, its voice channels follow."""
        self._owed.discard(shard_id)
        self._told.discard(shard_id)
        voice_states = self._voice_states(shard_id)
        left = {guild_id for guild_id, voice in voice_states.items() if is_leave(voice)}
        if left:
            self._apply(self._forget_left(left))
        for guild_id in voice_states.keys() - left:
            self._apply(self._tell_desired(shard_id, Opcode.VOICE_STATE_UPDATE, voice_states[guild_id]))

    def _voice_states(self, shard_id: int) -> Mapping[int, Mapping[str, Any]]:
        return {
            guild_id: voice
            for guild_id, voice in self.desired.voice_states().items()
            if shard_id_of(guild_id, self._num_shards) == shard_id
        }

    async def _forget_left(self, guild_ids: Iterable[int]) -> None:
        with suppress(StateUnavailable):  # then it is told once more, which is harmless
            await self.desired.forget_left(guild_ids)

    async def _show_presence(self, shard_id: int) -> ControlError | None:
        presence = await self.desired.presence_of(shard_id)
        return await self._tell_desired(shard_id, Opcode.PRESENCE_UPDATE, presence or {})

    async def _tell_desired(self, shard_id: int, op: int, data: Mapping[str, Any]) -> ControlError | None:
        """Tell a shard what is desired; return why it cannot be told now."""
        self._told.add(shard_id)
        try:
            await self.send(shard_id, op, data)
        except ShardUnavailable as exc:
            refusal: ControlError = NotReady(f"{exc}; {_KEPT}", shard_id=shard_id)
        except ControlError as exc:
            refusal = type(exc)(f"{exc}; {_KEPT}", shard_id=shard_id, retry_after_s=exc.retry_after_s)
        else:
            return None
        self._owed.add(shard_id)
        return refusal

    def _apply(self, applying: Any) -> None:
        task = asyncio.ensure_future(applying)
        self._applying.add(task)
        task.add_done_callback(self._applying.discard)
