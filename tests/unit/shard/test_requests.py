"""Commands of operators and Discord's answers to them, as they go on to the supervisor."""

import asyncio

import pytest
from pydantic import TypeAdapter

from gateway_service.ipc.messages import AnyChildMessage, Command
from gateway_service.protocol.constants import Opcode
from gateway_service.shard.requests import MAX_ANSWER_LEVELS, Requests


def answered(raw):
    """Return what the supervisor reads when Discord answers a request of soundboard sounds with ``raw``."""
    lines = []
    requests = Requests(lambda _op, _data: None, lambda: True, lambda done: lines.append(done.model_dump_json()))
    op = Opcode.REQUEST_SOUNDBOARD_SOUNDS
    requests.perform(Command(id=7, shard_id=0, op=op, data={"guild_ids": ["1"]}, timeout_s=60.0))
    requests.receive("SOUNDBOARD_SOUNDS", raw)
    [line] = lines
    return TypeAdapter(AnyChildMessage).validate_json(line)


def sounds(levels):
    """Return ``d`` of so many levels."""
    return b'{"guild_id":"1","soundboard_sounds":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


async def test_an_answer_comes_back_as_discord_sent_it():
    done = answered(b'{"guild_id":"1","soundboard_sounds":[{"name":"quack"}]}')

    assert (done.id, done.error) == (7, None)
    assert done.result == [{"guild_id": "1", "soundboard_sounds": [{"name": "quack"}]}]


async def test_the_deepest_answer_reaches_the_supervisor():
    assert len(answered(sounds(MAX_ANSWER_LEVELS)).result) == 1


@pytest.mark.parametrize("levels", [MAX_ANSWER_LEVELS + 1, 250, 1000])
async def test_an_answer_that_is_nested_too_deeply_ends_the_command_and_not_the_process(levels):
    done = answered(sounds(levels))

    assert (done.error, done.result) == ("too_large", [])
    assert done.message == "the answer is nested more than 64 levels deep; its dispatches are tasks all the same"


async def test_equal_requests_are_one_and_end_each_in_its_own_time():
    sent, told = [], asyncio.Queue()
    requests = Requests(lambda op, _data: sent.append(op), lambda: True, told.put_nowait)
    op = Opcode.REQUEST_SOUNDBOARD_SOUNDS
    for command_id, timeout_s in ((1, 0.001), (2, 60.0)):
        requests.perform(Command(id=command_id, shard_id=0, op=op, data={"guild_ids": ["1"]}, timeout_s=timeout_s))

    async with asyncio.timeout(10.0):
        first = await told.get()
    requests.receive("SOUNDBOARD_SOUNDS", sounds(2))
    second = told.get_nowait()

    assert sent == [op]
    assert (first.id, first.error) == (1, "timeout")
    assert (second.id, second.error) == (2, None)
