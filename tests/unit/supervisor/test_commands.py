"""What operators want of a shard reaches Discord, though the process that was told of it ended first."""

import asyncio
import json

import pytest

from gateway_service.errors import ShardUnavailable
from gateway_service.ipc.messages import CommandDone, ShardStatus
from gateway_service.protocol.constants import Opcode
from gateway_service.supervisor.commands import Commands
from gateway_service.supervisor.desired import Desired
from tests.support.waiting import until

DND, VOICE = {"status": "dnd"}, {"guild_id": "4194304", "channel_id": "7"}
GUILD_OF_SHARD_1 = 1 << 22
KEPT = {"presence:1": json.dumps(DND), f"voice:{GUILD_OF_SHARD_1}": json.dumps(VOICE)}


class Store:
    """Keeps nothing; who asks has it in memory."""

    def desire(self, _texts):
        pass


class Process:
    """Takes every command at once, while it runs, and keeps in mind what it took."""

    def __init__(self, kept=None):
        async def configured(_shard_id):
            return None

        self.is_running = True
        self.took = []
        self.desired = Desired(Store(), kept or {}, configured)
        self.commands = Commands(self._tell, self.desired, 2)

    def _tell(self, shard_id, command):
        if not self.is_running:
            raise ShardUnavailable(shard_id, "its process does not run")
        self.took.append((shard_id, Opcode(command.op), command.data))
        asyncio.get_running_loop().call_soon(self.commands.done, CommandDone(id=command.id))

    def report(self, shard_id, state="live"):
        self.commands.reported([ShardStatus(shard_id=shard_id, state=state, since=1.0)])

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
    assert await process.commands.show_presence([1]) == [1]

    await process.restart(1)
    await until(lambda: process.took)

    assert process.took == [(1, Opcode.PRESENCE_UPDATE, DND)]
    process.report(1)
    await asyncio.sleep(0)
    assert len(process.took) == 1


async def test_a_presence_for_a_process_that_does_not_run_waits_for_it():
    process = Process()
    process.is_running = False
    await process.desired.set_presence(DND, [1])
    assert await process.commands.show_presence([1]) == []

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
    with pytest.raises(ShardUnavailable):
        await process.commands.change_voice_channel(1, VOICE)

    process.is_running = True
    process.report(1)
    await until(lambda: len(process.took) == 2)

    assert (1, Opcode.VOICE_STATE_UPDATE, VOICE) in process.took
