import asyncio
import time
from math import inf

from gateway_service.errors import ApiUnavailable, StateUnavailable
from gateway_service.protocol.budget import IdentifyBudget, StartLimit
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.state import IdentifyRecord
from gateway_service.supervisor.gateway_info import GatewayInfo
from gateway_service.supervisor.identify import PermitOwner
from gateway_service.supervisor.identify_journal import IdentifyJournal


class MemoryLog:
    def __init__(self, *records):
        self.records = list(records)
        self.shards = []

    def identifies(self, after=0):
        return [record for record in self.records if record.number > after]

    def record_identify(self, shard_id, sent_at):
        assert sent_at > 1e9  # a UNIX time
        self.shards.append(shard_id)
        self.records.append(IdentifyRecord(len(self.records) + 1, shard_id, 4, sent_at))
        return len(self.records)

    def correct_identify(self, number, sent_at):
        assert sent_at >= self.records[number - 1].sent_at


class BrokenLog(MemoryLog):
    def identifies(self, after=0):
        raise StateUnavailable("state.db", f"cannot read after {after}")

    def record_identify(self, shard_id, sent_at):
        raise StateUnavailable("state.db", f"cannot write {shard_id} at {sent_at:.0f}")


def info(remaining=1000, *, total=1000, reset_after_s=3600.0, max_concurrency=1):
    return GatewayInfo(
        url="wss://gateway.discord.gg",
        shards=4,
        max_concurrency=max_concurrency,
        identifies_total=total,
        identifies_remaining=remaining,
        reset_after_s=reset_after_s,
    )


class Permits:
    """A permit owner that runs, and what it granted."""

    def __init__(
        self,
        *,
        max_concurrency=1,
        spacing_s=0.0,
        log=None,
        presence_of=None,
        is_forced=False,
        jitter=0.0,
        known=None,
        answers=None,
    ):
        self.log = log or MemoryLog()
        self.granted = asyncio.Queue()
        self.answers = answers
        self.questions = 0
        budget = IdentifyBudget(num_shards=4, reserve_percent=20, is_forced=is_forced, rng=lambda: jitter)
        if known is not None:
            now = asyncio.get_running_loop().time()
            budget.learn(StartLimit(total=1000, remaining=known, reset_after_s=3600.0, asked_at=now))
        self.owner = PermitOwner(
            IdentifyScheduler(max_concurrency, rng=lambda: 0.0, spacing_s=spacing_s),
            budget,
            IdentifyJournal(self.log),
            num_shards=4,
            presence_of=presence_of or self.no_presence,
            hand_over=lambda shard_id, presence: self.granted.put_nowait((shard_id, presence)),
            ask_discord=None if answers is None else self.answer,
        )

    async def answer(self):
        self.questions += 1
        answer = self.answers[min(self.questions, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def no_presence(self, _shard_id):
        return None

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.owner.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def next(self):
        return await asyncio.wait_for(self.granted.get(), 5)

    async def settle(self):
        """Let everything happen that is due."""
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)


async def test_a_request_is_granted_with_the_presence_of_the_shard():
    async def presence_of(shard_id):
        return {"status": f"of {shard_id}"}

    async with Permits(presence_of=presence_of) as permits:
        permits.owner.request(3)

        assert await permits.next() == (3, {"status": "of 3"})


async def test_a_permit_is_written_down_before_it_goes_out():
    async with Permits(max_concurrency=4) as permits:
        permits.owner.request(7)
        await permits.next()

        assert permits.log.shards == [7]


async def test_a_key_is_held_until_the_identify_was_sent():
    async with Permits() as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()
        await permits.settle()
        assert permits.granted.empty()
        assert permits.owner.waiting == 1

        permits.owner.sent(0)

        assert (await permits.next())[0] == 1


async def test_a_cancelled_request_is_not_granted():
    async with Permits() as permits:
        permits.owner.request(0)
        permits.owner.cancel(0)
        permits.owner.request(1)

        assert (await permits.next())[0] == 1


async def test_an_unused_permit_goes_to_the_next_shard():
    async with Permits(spacing_s=inf) as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()

        permits.owner.cancel(0)

        assert (await permits.next())[0] == 1


async def test_a_permit_that_a_dead_shard_held_counts_as_used():
    async with Permits(spacing_s=3600.0) as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()

        permits.owner.gone([0])
        await permits.settle()

        assert permits.granted.empty()


async def test_a_request_of_a_dead_shard_is_dropped_and_costs_nothing():
    async with Permits(spacing_s=3600.0) as permits:
        permits.owner.request(0)
        permits.owner.gone([0])
        permits.owner.request(1)

        assert (await permits.next())[0] == 1


async def test_a_shard_that_died_while_its_presence_was_asked_for_gets_no_permit():
    asked, answered = asyncio.Event(), asyncio.Event()

    async def presence_of(_shard_id):
        asked.set()
        await answered.wait()

    async with Permits(max_concurrency=2, presence_of=presence_of) as permits:
        permits.owner.request(0)
        await asked.wait()
        permits.owner.gone([0])
        permits.owner.request(1)
        answered.set()

        assert (await permits.next())[0] == 1
        assert permits.granted.empty()


async def test_a_log_that_cannot_be_written_is_told_and_stops_nobody(caplog):
    async with Permits(log=BrokenLog()) as permits:
        permits.owner.request(0)

        assert (await permits.next())[0] == 0

    reasons = [record.event_fields["reason"] for record in caplog.records]
    assert ["cannot read" in reasons[0], "cannot write" in reasons[1]] == [True, True]


async def test_without_a_word_of_discord_the_usual_limit_counts():
    async with Permits() as permits:
        permits.owner.request(0)
        await permits.next()

        status = permits.owner.status()
        assert (status.total, status.reserve, status.remaining, status.reset_at) == (1000, 200, 999, None)


async def test_below_the_reserve_a_shard_waits_and_it_is_told_once(caplog):
    async with Permits(known=200) as permits:
        permits.owner.request(0)
        await permits.settle()
        permits.owner.cancel(0)
        permits.owner.request(0)
        await permits.settle()

        assert permits.granted.empty()
        assert "are reserved" in permits.owner.reason_to_wait(0)
        assert permits.owner.reason_to_wait(1) is None
        status = permits.owner.status()
        assert (status.remaining, status.can_restart_all, status.waiting, status.held) == (200, False, 1, 1)

    [told] = [record for record in caplog.records if record.message == "identify.waiting"]
    assert (told.levelname, told.event_fields["reason"], told.event_fields["shards"]) == ("ERROR", "reserve", "0")


async def test_forced_it_comes_out_of_the_reserve_loudly(caplog):
    async with Permits(known=200, is_forced=True) as permits:
        permits.owner.request(0)
        await permits.next()

        assert (permits.owner.status().forced, permits.owner.status().granted) == (1, 1)

    assert [record.levelname for record in caplog.records if record.message == "identify.forced"] == ["ERROR"]


async def test_with_nothing_left_not_even_a_forced_one_is_granted():
    async with Permits(known=0, is_forced=True) as permits:
        permits.owner.request(0)
        await permits.settle()

        assert permits.granted.empty()
        assert "no IDENTIFY is left" in permits.owner.refusal(0)


async def test_an_old_answer_is_renewed_before_anything_is_granted():
    async with Permits(answers=[info(150), info(150)]) as permits:
        permits.owner.request(0)
        await permits.settle()

        assert (permits.granted.empty(), permits.questions) == (True, 1)
        assert permits.owner.status().remaining == 150


async def test_without_an_answer_the_own_account_counts(caplog):
    async with Permits(answers=[ApiUnavailable("the API", "down")]) as permits:
        permits.owner.request(0)

        assert (await permits.next())[0] == 0

    assert "api.failed" in [record.message for record in caplog.records]


async def test_what_discord_allows_at_once_is_followed():
    async with Permits(answers=[info(max_concurrency=16)], spacing_s=3600.0) as permits:
        for shard_id in range(16):
            permits.owner.request(shard_id)

        assert {(await permits.next())[0] for _ in range(16)} == set(range(16))


async def test_what_others_spent_counts_and_spaces():
    wall_now = time.time()
    log = MemoryLog(*(IdentifyRecord(number, 0, 8, wall_now - 10.0) for number in range(1, 801)))
    async with Permits(log=log) as permits:
        permits.owner.request(1)
        await permits.settle()

        assert permits.granted.empty()
        assert permits.owner.status().remaining == 200


async def test_the_own_records_are_not_counted_twice():
    async with Permits(max_concurrency=4) as permits:
        for shard_id in range(4):
            permits.owner.request(shard_id)
            await permits.next()

        assert permits.owner.status().spent == 4


async def test_a_record_of_the_future_counts_as_now():
    log = MemoryLog(IdentifyRecord(1, 0, 4, time.time() + 1e6))
    async with Permits(log=log, spacing_s=3600.0) as permits:
        permits.owner.request(0)
        await permits.settle()

        assert permits.granted.empty()


async def test_a_shard_that_identifies_again_and_again_is_slowed_and_the_others_are_not(caplog):
    wall_now = time.time()
    log = MemoryLog(*(IdentifyRecord(number, 0, 4, wall_now) for number in range(1, 8)))
    async with Permits(log=log, max_concurrency=4, jitter=0.99) as permits:
        permits.owner.request(0)
        permits.owner.request(1)

        assert (await permits.next())[0] == 1
        assert "identified too often" in permits.owner.reason_to_wait(0)

    [told] = [record for record in caplog.records if record.message == "identify.waiting"]
    assert (told.levelname, told.event_fields["reason"]) == ("WARNING", "breaker")
