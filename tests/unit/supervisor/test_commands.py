"""What operators want of a shard reaches Discord, though the process that was told of it ended first."""

import asyncio
import json

import pytest

from gateway_service.errors import ShardUnavailable
from gateway_service.ipc.messages import CommandDone
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.protocol.constants import Opcode
from gateway_service.refusals import NotReady
from gateway_service.supervisor.commands import Commands
from gateway_service.supervisor.desired import Desired
from tests.support.waiting import until

DND, VOICE = {"status": "dnd"}, {"guild_id": "4194304", "channel_id": "7"}
GUILD_OF_SHARD_1 = 1 << 22
KEPT = {"presence:1": json.dumps(DND), f"voice:{GUILD_OF_SHARD_1}": json.dumps(VOICE)}


LEAVE = {"guild_id": "4194304", "channel_id": None}


class Store:
    """Keeps what was desired last."""

    def __init__(self, kept):
        self.kept = dict(kept)

    def desire(self, texts):
        self.kept = {name: text for name, text in (self.kept | texts).items() if text is not None}


class Process:
    """Takes every command at once, while it runs, and keeps in mind what it took."""

    def __init__(self, kept=None):
        async def configured(_shard_id):
            return None

        self.is_running = True
        self.took = []
        self.store = Store(kept or {})
        self.desired = Desired(self.store, self.store.kept, configured)
        self.commands = Commands(self._tell, self.desired, 2)

    def _tell(self, shard_id, command):
        if not self.is_running:
            raise ShardUnavailable(shard_id, "its process does not run")
        self.took.append((shard_id, Opcode(command.op), command.data))
        asyncio.get_running_loop().call_soon(self.commands.done, CommandDone(id=command.id))

    def report(self, shard_id, state="live", queued_commands=0):
        status = ShardStatus(shard_id=shard_id, state=state, since=1.0, queued_commands=queued_commands)
        self.commands.reported([status])

    async def leave(self):
        await self.desired.set_voice_state(GUILD_OF_SHARD_1, LEAVE)
        await self.commands.change_voice_channel(1, LEAVE)

    async def restart(self, shard_id):
        """Lose what it took, and resume."""
        self.commands.gone([shard_id])
        self.took.clear()
        self.report(shard_id, "resuming")
        await asyncio.sleep(0)
        assert self.took == []
        self.report(shard_id)


async def test_a_presence_that_a_lost_process_had_queued_is_shown_by_the_next_one():
    process = Process()
    await process.desired.set_presence(DND, [1])
    assert await process.commands.show_presence([1]) == {}

    await process.restart(1)
    await until(lambda: process.took)

    assert process.took == [(1, Opcode.PRESENCE_UPDATE, DND)]
    process.report(1)
    await asyncio.sleep(0)
    assert len(process.took) == 1


async def test_a_presence_for_a_process_that_does_not_run_waits_for_it():
    process = Process()
    process.is_running = False
    await process.desired.set_presence(DND, [0, 1])
    [refusal] = (await process.commands.show_presence([1])).values()
    assert (type(refusal), refusal.shard_id) == (NotReady, 1)
    assert str(refusal) == (
        "shard 1 is not available: its process does not run; what is wanted is kept, and told to Discord once the "
        "shard is live"
    )

    process.is_running = True
    process.report(1)
    await until(lambda: process.took)

    assert process.took == [(1, Opcode.PRESENCE_UPDATE, DND)]


async def test_what_is_kept_is_told_to_a_session_that_a_new_supervisor_resumes():
    process = Process(
        {"presence:1": '{"status": "dnd"}', "voice:4194304": '{"guild_id": "4194304", "channel_id": "7"}'}
    )

    process.report(0)
    process.report(1)
    await until(lambda: len(process.took) == 2)

    assert sorted(process.took) == [(1, Opcode.PRESENCE_UPDATE, DND), (1, Opcode.VOICE_STATE_UPDATE, VOICE)]


async def test_a_new_session_has_its_presence_from_the_identify_and_enters_its_channels_once():
    process = Process(
        {"presence:1": '{"status": "dnd"}', "voice:4194304": '{"guild_id": "4194304", "channel_id": "7"}'}
    )

    process.commands.identified(1)
    process.report(1)
    await until(lambda: process.took)

    assert process.took == [(1, Opcode.VOICE_STATE_UPDATE, VOICE)]


async def test_a_voice_channel_that_nobody_could_enter_is_entered_later():
    process = Process()
    process.is_running = False
    await process.desired.set_voice_state(GUILD_OF_SHARD_1, VOICE)
    with pytest.raises(NotReady, match="what is wanted is kept"):
        await process.commands.change_voice_channel(1, VOICE)

    process.is_running = True
    process.report(1)
    await until(lambda: len(process.took) == 2)

    assert (1, Opcode.VOICE_STATE_UPDATE, VOICE) in process.took


async def test_a_leave_that_a_lost_process_had_queued_is_told_to_the_next_one():
    process = Process(KEPT)
    process.report(1)
    await process.leave()
    process.report(1, queued_commands=1)

    await process.restart(1)
    await until(lambda: len(process.took) == 2)

    assert (1, Opcode.VOICE_STATE_UPDATE, LEAVE) in process.took


async def test_a_leave_is_told_by_the_next_supervisor_as_well():
    process = Process()
    await process.leave()
    successor = Process(process.store.kept)

    successor.report(1)
    await until(lambda: len(successor.took) == 2)

    assert (1, Opcode.VOICE_STATE_UPDATE, LEAVE) in successor.took


async def test_a_leave_is_forgotten_when_it_was_sent():
    process = Process(KEPT)
    await process.leave()
    process.report(1)
    await until(lambda: process.store.kept.keys() == {"presence:1"})

    await process.restart(1)
    await until(lambda: process.took)

    assert process.took == [(1, Opcode.PRESENCE_UPDATE, DND)]


async def test_a_new_session_is_in_no_channel_and_need_not_leave_one():
    process = Process()
    await process.leave()
    process.took.clear()

    process.commands.identified(1)
    await until(lambda: process.store.kept == {})

    assert process.took == []


async def test_a_channel_that_is_entered_after_a_leave_is_kept():
    process = Process()
    await process.leave()
    await process.desired.set_voice_state(GUILD_OF_SHARD_1, VOICE)

    process.report(1)
    await process.desired.forget_left([GUILD_OF_SHARD_1])

    assert process.store.kept == {f"voice:{GUILD_OF_SHARD_1}": '{"guild_id":"4194304","channel_id":"7"}'}
