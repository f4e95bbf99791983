"""A rolling restart: one process at a time, halted by what must not happen."""

import asyncio
import logging
import threading

import pytest

from gateway_service.control.roll import Roll, lost_between
from gateway_service.errors import ConfigurationError, ShardUnavailable
from gateway_service.refusals import Busy, OtherHost
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.live_settings import LiveSettings
from tests.support.fleet import FakeFleet, process, shard


def fleet():
    return FakeFleet(
        shard(0, session="a", received_seq=9, published_seq=9),
        shard(1, session="b", received_seq=9, published_seq=7),
        processes=[process(0, [0]), process(1, [1])],
    )


async def ended(roll):
    while roll.view().state == "rolling":
        await asyncio.sleep(0)
    return roll.view()


async def test_processes_restart_in_turn_and_nothing_is_spent():
    subject = fleet()
    subject.on_restart = lambda index: subject.change(index, resumes=1)
    roll = Roll(subject, "gateway@here")

    began_at = [roll.view().began_at]
    await roll.begin(max_resume_s=10.0)
    began_at.append(roll.view().began_at)
    with pytest.raises(Busy):
        await roll.begin(max_resume_s=10.0)
    view = await ended(roll)

    assert subject.restarted == [0, 1]
    assert (view.state, view.processes_done, view.resumes) == ("done", 2, 2)
    assert (view.identifies_used, view.dispatches_lost) == (0, 0)
    assert began_at == [None, view.began_at]
    assert view.began_at is not None


async def test_a_session_that_ended_halts_the_roll():
    subject = fleet()
    subject.on_restart = lambda index: subject.change(index, identifies=1, session="new")
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)
    view = await ended(roll)

    assert subject.restarted == [0]
    assert (view.state, view.identifies_used) == ("halted", 1)
    assert view.reason == "the shards of process 0 used 1 identifies and lost 0 dispatches"


@pytest.mark.parametrize(("ends_well", "handed_on"), [(True, 1), (False, 0)])
async def test_the_next_host_begins_when_this_one_is_through(ends_well, handed_on):
    handed, subject = [], fleet()
    subject.on_restart = lambda index: subject.change(index, resumes=1) if ends_well else fail(subject, index)
    roll = Roll(subject, "gateway@here")

    async def hand_on():
        handed.append(list(subject.restarted))

    await roll.begin(10.0, ["gateway@there"], hand_on)
    view = await ended(roll)

    assert (view.state, view.then) == ("done" if ends_well else "halted", ["gateway@there"])
    assert handed == handed_on * [[0, 1]]


def fail(subject, index):
    subject.change(index, identifies=1, session="new")


async def test_a_next_host_that_does_not_begin_halts_the_roll():
    roll = Roll(fleet(), "gateway@here")

    async def hand_on():
        raise OtherHost("it does not answer")

    await roll.begin(10.0, ["gateway@there"], hand_on)

    assert (await ended(roll)).reason == "gateway@there did not begin: it does not answer"


async def test_new_settings_come_in_with_the_first_process():
    subject = fleet()
    subject.file = {"log_level": "debug"}
    seen = []
    subject.on_restart = lambda _index: seen.append(subject.settings.current.log_level)
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)

    assert (await ended(roll)).changed == ["log_level"]
    assert seen == ["debug", "debug"]


def reads(subject, read):
    """Let ``subject`` read its settings with ``read``."""
    subject.settings = LiveSettings(GatewayOptions(token="a.b.c"), read, lambda _message: None)


async def test_the_loop_runs_while_the_settings_are_read():
    subject, is_read = fleet(), threading.Event()

    def read():
        assert is_read.wait(10), "the loop is blocked"
        return GatewayOptions(token="a.b.c")

    reads(subject, read)
    roll = Roll(subject, "gateway@here")
    beginning = asyncio.ensure_future(roll.begin(max_resume_s=10.0))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await roll.begin(max_resume_s=10.0)

    is_read.set()
    await beginning

    assert (await ended(roll)).state == "done"


async def test_settings_that_are_never_read_do_not_begin_a_roll():
    subject, is_over = fleet(), threading.Event()
    reads(subject, is_over.wait)
    roll = Roll(subject, "gateway@here", read_timeout_s=0.0)

    with pytest.raises(ConfigurationError, match="presence: importing it took longer than 0 s"):
        await roll.begin(max_resume_s=10.0)
    is_over.set()

    assert (roll.view().state, subject.restarted) == ("idle", [])


async def test_bad_settings_do_not_begin_a_roll():
    subject = fleet()
    subject.file = {"log_level": "loud"}
    roll = Roll(subject, "gateway@here")

    with pytest.raises(ConfigurationError, match="log_level: "):
        await roll.begin(max_resume_s=10.0)

    assert (roll.view().state, subject.restarted) == ("idle", [])


async def test_code_that_does_not_start_restarts_nothing(caplog):
    subject = fleet()
    subject.does_start = False
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)
    view = await ended(roll)

    assert (view.state, view.processes_done, subject.restarted) == ("halted", 0, [])
    assert view.reason == "a trial process without shards did not start: exit code 1"
    assert [record.message for record in caplog.records] == ["roll.halted"]


async def test_a_process_that_ends_for_good_halts_the_roll():
    def fail(_index):
        raise ShardUnavailable(0, "its process is FATAL")

    subject = fleet()
    subject.on_restart = fail
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)

    assert (await ended(roll)).reason == "shard 0 is not available: its process is FATAL"


async def test_a_fault_of_ours_ends_the_roll_and_another_may_begin(caplog):
    def fail(_index):
        raise RuntimeError("not foreseen")

    subject = fleet()
    subject.on_restart = fail
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)
    view = await ended(roll)

    assert (view.state, view.reason) == ("halted", "a fault in this program; its log has the traceback")
    [failed, halted] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (failed.message, str(failed.exc_info[1]), halted.message) == (
        "control.failed",
        "not foreseen",
        "roll.halted",
    )
    subject.on_restart = lambda _index: None
    await roll.begin(max_resume_s=10.0)
    assert (await ended(roll)).state == "done"


async def test_a_ledger_that_does_not_add_up_halts_the_roll():
    subject = fleet()
    subject.on_restart = lambda index: subject.change(index, is_balanced=False)
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=10.0)

    assert (await ended(roll)).reason == "the ledger of shard 0 does not add up"


async def test_a_shard_that_does_not_come_back_halts_the_roll():
    subject = fleet()
    subject.on_restart = lambda index: subject.change(index, state="resuming")
    roll = Roll(subject, "gateway@here")

    await roll.begin(max_resume_s=0.0)
    view = await ended(roll)

    assert view.reason == "shard 0 of process 0 was not live within 0 s"
    assert subject.restarted == [0]


async def test_a_restart_goes_on_when_the_roll_gives_it_up():
    class Slow(FakeFleet):
        drained = asyncio.Event()

        async def restart_process(self, index):
            await self.drained.wait()
            await super().restart_process(index)

    subject = Slow(shard(0), processes=[process(0, [0])])
    roll = Roll(subject, "gateway@here")
    await roll.begin(max_resume_s=0.0)
    assert (await ended(roll)).reason == "process 0 did not run again within 0 s"

    subject.drained.set()
    while not subject.restarted:
        await asyncio.sleep(0)
    await roll.close()

    assert subject.restarted == [0]


@pytest.mark.parametrize(("session", "lost"), [("b", 0), ("new", 2), (None, 2)])
def test_only_what_a_session_took_with_it_is_lost(session, lost):
    before = [shard(1, session="b", received_seq=9, published_seq=7)]

    assert lost_between(before, [shard(1, session=session)]) == lost
