import asyncio
from math import inf

from gateway_service.errors import ApiUnavailable, StateUnavailable
from gateway_service.protocol.budget import IdentifyBudget, StartLimit
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.state import IdentifyRecord, KeyBusy, Outdated, Taken
from gateway_service.supervisor.gateway_info import GatewayInfo
from gateway_service.supervisor.identify import PermitOwner
from gateway_service.supervisor.identify_journal import IdentifyJournal
from tests.support.waiting import until


class MemoryPermits:
    """A store in which others take permits, too, and which may be away."""

    def __init__(self, *records):
        self.records = list(records)
        self.shards = []
        self.settled = []
        self.is_away = False
        self.is_full = False
        self.busy_s = {}
        self.before_take = lambda: None
        self.desired = {}

    def add(self, shard_id, num_shards=4, age_s=0.0):
        self.records.append(IdentifyRecord(len(self.records) + 1, shard_id, num_shards, age_s))
        return len(self.records)

    def identifies(self, after=0):
        self.refuse_if_away()
        return [record for record in self.records if record.number > after]

    def take_permit(self, shard_id, *, max_concurrency, known):
        self.refuse_if_away()
        assert max_concurrency >= 1
        self.refuse_if_full()
        self.before_take()
        if known < len(self.records):
            return Outdated()
        if for_s := self.busy_s.pop(shard_id, 0.0):
            return KeyBusy(for_s)
        self.shards.append(shard_id)
        return Taken(self.add(shard_id))

    def permit_used(self, shard_id, number):
        self.settled.append((shard_id, number, "used"))

    def permit_unused(self, shard_id, number):
        self.settled.append((shard_id, number, "unused"))

    def restore(self, identifies, held, desired):
        self.refuse_if_away()
        self.refuse_if_full()
        self.restored, self.held = [(record.number, record.shard_id) for record in identifies], held
        self.desired |= desired

    def refuse_if_away(self):
        if self.is_away:
            raise StateUnavailable("redis://away", "refused")

    def refuse_if_full(self):
        if self.is_full:
            raise StateUnavailable("sqlite:///full", "the disk is full; make room")


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
        self.log = log or MemoryPermits()
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
            IdentifyJournal(self.log, 4, lambda: {"presence:0": "{}"}, retry_s=0.01),
            num_shards=4,
            presence_of=presence_of or self.no_presence,
            hand_over=lambda shard_id, _number, presence: self.granted.put_nowait((shard_id, presence)),
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
        self.tasks = [asyncio.ensure_future(each) for each in (self.owner.run(), self.owner.settle())]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)

    async def next(self):
        return await asyncio.wait_for(self.granted.get(), 5)

    async def until(self, condition):
        await until(condition, timeout_s=5)

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


async def test_a_permit_is_on_record_before_it_goes_out():
    async with Permits(max_concurrency=4) as permits:
        permits.owner.request(7)
        await permits.next()

        assert permits.log.shards == [7]


async def test_a_key_is_held_until_the_identify_was_answered():
    async with Permits() as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()
        permits.owner.sent(0)
        await permits.settle()
        assert permits.granted.empty()
        assert permits.owner.waiting == 1

        permits.owner.answered(0)

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


async def test_a_shard_that_died_before_its_answer_spaces_its_key():
    async with Permits(spacing_s=3600.0) as permits:
        permits.owner.request(0)
        permits.owner.request(1)
        await permits.next()
        permits.owner.sent(0)

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


async def test_without_the_store_nobody_identifies_and_it_is_told_once(caplog):
    store = MemoryPermits()
    store.is_away = True
    async with Permits(log=store) as permits:
        permits.owner.request(0)
        await permits.until(lambda: permits.owner.reason_to_wait(0))

        assert permits.granted.empty()
        assert permits.owner.state_error == "the state store at redis://away is not available: refused"
        assert (
            "the state store, which counts the IDENTIFYs of the bot, does not answer" in permits.owner.reason_to_wait(0)
        )

        store.is_away = False
        assert (await permits.next())[0] == 0
        assert permits.owner.state_error is None

    told = [record.message for record in caplog.records]
    assert [told.count(name) for name in ("state.failed", "identify.waiting")] == [1, 1]


async def test_a_store_that_can_be_read_and_not_written_is_left_alone_between_tries_and_told_once(caplog):
    store = MemoryPermits()
    store.is_full = True
    async with Permits(log=store, max_concurrency=4) as permits:
        for shard_id in range(4):
            permits.owner.request(shard_id)
        await permits.until(lambda: permits.owner.status().held == 4)
        assert (
            permits.owner.state_error
            == "the state store at sqlite:///full is not available: the disk is full; make room"
        )

        store.is_full = False
        assert {(await permits.next())[0] for _ in range(4)} == {0, 1, 2, 3}
        assert permits.owner.state_error is None

    told = [record.message for record in caplog.records]
    assert [told.count(name) for name in ("state.failed", "identify.waiting")] == [1, 1]


async def test_a_store_that_is_back_is_told_everything_again():
    store = MemoryPermits(IdentifyRecord(1, 2, 4, 60.0))
    async with Permits(log=store, max_concurrency=4) as permits:
        for shard_id in (0, 1):
            permits.owner.request(shard_id)
            await permits.next()
        permits.owner.sent(1)
        await until(lambda: store.settled)
        store.is_away = True
        permits.owner.request(2)
        await until(lambda: permits.owner.state_error)
        store.is_away = False
        await permits.next()

        assert store.restored == [(1, 2), (2, 0), (3, 1)]
        assert (store.held, store.desired) == ({2: 0}, {"presence:0": "{}"})


async def test_what_others_took_in_the_meantime_is_part_of_the_decision():
    store = MemoryPermits()

    def another_service():
        store.before_take = lambda: None
        for _ in range(800):
            store.add(7, num_shards=8)

    store.before_take = another_service
    async with Permits(log=store) as permits:
        permits.owner.request(0)
        await permits.until(lambda: permits.owner.reason_to_wait(0))

        assert permits.granted.empty()
        assert permits.owner.status().remaining == 200


async def test_a_key_that_another_service_has_is_asked_for_again():
    store = MemoryPermits()
    store.busy_s = {0: 0.01}
    async with Permits(log=store) as permits:
        permits.owner.request(0)

        assert (await permits.next())[0] == 0
        assert permits.owner.reason_to_wait(0) is None


async def test_the_store_learns_what_became_of_each_permit():
    async with Permits(max_concurrency=4) as permits:
        for shard_id in range(4):
            permits.owner.request(shard_id)
            await permits.next()

        permits.owner.sent(0)
        permits.owner.cancel(1)
        permits.owner.request(2)
        permits.owner.gone([3])
        await permits.until(lambda: len(permits.log.settled) == 5)

        assert sorted(permits.log.settled) == [
            (0, 1, "used"),
            (1, 2, "unused"),
            (2, 3, "unused"),
            *2 * [(3, 4, "used")],
        ]


async def test_the_store_counts_from_the_sending_and_again_from_the_answer():
    async with Permits() as permits:
        permits.owner.request(0)
        await permits.next()

        permits.owner.sent(0)
        await permits.until(lambda: len(permits.log.settled) == 1)
        permits.owner.answered(0)
        await permits.until(lambda: len(permits.log.settled) == 2)

        assert permits.log.settled == 2 * [(0, 1, "used")]


async def test_a_permit_that_came_after_its_shard_gave_up_is_given_back():
    store = MemoryPermits()
    async with Permits(log=store) as permits:
        store.before_take = lambda: loop.call_soon_threadsafe(permits.owner.cancel, 0)
        loop = asyncio.get_running_loop()
        permits.owner.request(0)
        await permits.until(lambda: store.settled)

        assert (store.settled, permits.granted.empty()) == ([(0, 1, "unused")], True)


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


async def test_what_others_spent_counts():
    log = MemoryPermits(*(IdentifyRecord(number, 0, 8, 10.0) for number in range(1, 801)))
    async with Permits(log=log) as permits:
        permits.owner.request(1)
        await permits.until(lambda: permits.owner.reason_to_wait(1))

        assert permits.granted.empty()
        assert permits.owner.status().remaining == 200


async def test_the_own_records_are_not_counted_twice():
    async with Permits(max_concurrency=4) as permits:
        for shard_id in range(4):
            permits.owner.request(shard_id)
            await permits.next()

        assert permits.owner.status().spent == 4


async def test_a_shard_that_identifies_again_and_again_is_slowed_and_the_others_are_not(caplog):
    log = MemoryPermits(*(IdentifyRecord(number, 0, 4, 0.0) for number in range(1, 8)))
    async with Permits(log=log, max_concurrency=4, jitter=0.99) as permits:
        permits.owner.request(0)
        permits.owner.request(1)

        assert (await permits.next())[0] == 1
        assert "identified too often" in permits.owner.reason_to_wait(0)

    [told] = [record for record in caplog.records if record.message == "identify.waiting"]
    assert (told.levelname, told.event_fields["reason"]) == ("WARNING", "breaker")
