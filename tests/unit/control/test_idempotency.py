import asyncio

import pytest

from gateway_service.control.idempotency import KEEP_S, MAX_KEYS, IdempotencyKeys
from gateway_service.control.room import NoRoom
from gateway_service.refusals import InvalidArgument, NotReady, OperationTimedOut, OtherHost


class Calls:
    def __init__(self, *failures):
        self.count = 0
        self.failures = list(failures)

    async def __call__(self):
        self.count += 1
        if self.failures:
            raise self.failures.pop()
        return self.count


async def test_an_equal_key_gets_the_first_answer():
    calls, keys = Calls(), IdempotencyKeys(lambda: 0.0)

    first = await keys.once("me", "key", "restart 3", calls)
    second = await keys.once("me", "key", "restart 3", calls)

    assert (first, second, calls.count) == (1, 1, 1)


async def test_an_equal_key_joins_a_call_that_runs():
    calls, keys = Calls(), IdempotencyKeys(lambda: 0.0)

    answers = await asyncio.gather(*(keys.once("me", "key", "restart 3", calls) for _ in range(3)))

    assert (answers, calls.count) == ([1, 1, 1], 1)


async def test_without_a_key_each_call_counts_and_callers_do_not_meet():
    calls, keys = Calls(), IdempotencyKeys(lambda: 0.0)

    answers = [await keys.once(*who, "restart 3", calls) for who in (("a", None), ("a", None), ("a", "k"), ("b", "k"))]

    assert answers == [1, 2, 3, 4]


async def test_a_key_stands_for_one_request():
    calls, keys = Calls(), IdempotencyKeys(lambda: 0.0)
    await keys.once("me", "key", "restart 3", calls)

    with pytest.raises(InvalidArgument, match="Idempotency-Key: was sent with another request"):
        await keys.once("me", "key", "restart 4", calls)


async def test_what_was_refused_may_be_tried_again():
    calls, keys = Calls(NotReady("later")), IdempotencyKeys(lambda: 0.0)
    with pytest.raises(NotReady):
        await keys.once("me", "key", "restart 3", calls)

    assert await keys.once("me", "key", "restart 3", calls) == 2


async def test_what_was_begun_and_not_answered_is_not_begun_again():
    calls, keys = Calls(OperationTimedOut("not live within 1 s")), IdempotencyKeys(lambda: 0.0)

    for _ in range(2):
        with pytest.raises(OperationTimedOut):
            await keys.once("me", "key", "restart 3", calls)

    assert calls.count == 1


async def test_keys_are_forgotten_by_age_and_by_number():
    now = [0.0]
    calls, keys = Calls(), IdempotencyKeys(lambda: now[0])
    await keys.once("me", "old", "x", calls)
    now[0] = KEEP_S
    assert await keys.once("me", "old", "x", calls) == 2

    for number in range(MAX_KEYS - 1):
        await keys.once("me", str(number), "x", calls)
    with pytest.raises(NoRoom, match="1000 keys came in the last 600 s"):
        await keys.once("me", "new", "x", calls)
    assert await keys.once("me", "old", "x", calls) == 2
    now[0] *= 2
    assert await keys.once("me", "new", "x", calls) == MAX_KEYS + 2


async def test_a_call_whose_host_did_not_answer_is_not_carried_out_again():
    calls, keys = Calls(OtherHost("no answer")), IdempotencyKeys(lambda: 0.0)

    for _ in range(2):
        with pytest.raises(OtherHost):
            await keys.once("me", "key", "x", calls)

    assert calls.count == 1
