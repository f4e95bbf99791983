import asyncio
import threading

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.supervisor.presence import PresenceProvider


def for_shard(shard_id):
    return {"status": "idle", "activities": [{"name": f"shard {shard_id}", "type": 0}]}


NOT_A_FUNCTION = 5


def reasons(caplog):
    return [record.event_fields["reason"] for record in caplog.records]


async def test_without_a_source_there_is_none():
    assert await PresenceProvider(None).presence_of(0) is None


async def test_a_mapping_is_for_every_shard():
    assert await PresenceProvider({"status": "dnd"}).presence_of(3) == {"status": "dnd"}


async def test_a_function_is_asked_for_each_shard():
    assert (await PresenceProvider(for_shard).presence_of(3))["activities"] == [{"name": "shard 3", "type": 0}]


async def test_a_function_runs_in_a_thread_of_its_own():
    threads = []
    await PresenceProvider(lambda _: threads.append(threading.current_thread())).presence_of(0)

    assert threads[0] is not threading.current_thread()


class Presences:
    for_shard = staticmethod(for_shard)


@pytest.mark.parametrize("path", ["for_shard", "Presences.for_shard"])
async def test_an_import_path_is_followed(path):
    provider = PresenceProvider(f"{__name__}:{path}")

    assert (await provider.presence_of(1))["status"] == "idle"


async def test_a_function_may_want_no_presence(caplog):
    assert await PresenceProvider(lambda _: None).presence_of(0) is None
    assert not caplog.records


async def test_tuples_become_lists_as_json_has_them():
    provider = PresenceProvider(lambda _: {"activities": ({"name": "x"},)})

    assert await provider.presence_of(0) == {"activities": [{"name": "x"}]}


def raising(error):
    def function(_shard_id):
        raise error

    return function


def takes_nothing():
    return {}


async def coroutine(_shard_id):
    return {}


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raising(ZeroDivisionError("no")), "ZeroDivisionError: no"),
        (raising(StopIteration()), "StopIteration"),
        (raising(SystemExit(3)), "SystemExit(3)"),
        (lambda _: "idle", "must be a mapping"),
        (lambda _: {"status": "asleep"}, "unknown status 'asleep'"),
        (lambda _: {"activity": {}}, "unknown key 'activity'; did you mean 'activities'?"),
        (lambda _: {"activities": "x"}, "not a list"),
        (lambda _: {"activities": [{"name": object()}]}, "is not JSON"),
        (lambda _: {"since": 2**70}, "is not JSON"),
        (coroutine, "is a coroutine"),
        (takes_nothing, "TypeError"),
    ],
)
async def test_a_function_that_fails_costs_the_presence_and_warns(function, reason, caplog):
    assert await PresenceProvider(function).presence_of(4) is None

    [told] = reasons(caplog)
    assert reason in told
    assert caplog.records[0].event_fields["shard_id"] == 4


async def test_a_function_that_does_not_return_in_time_costs_the_presence(caplog):
    end = threading.Event()
    try:
        assert await PresenceProvider(lambda _: end.wait(), timeout_s=0.01).presence_of(0) is None
    finally:
        end.set()

    assert reasons(caplog) == ["it did not return within 0.01 s"]


async def test_a_slow_function_delays_no_other_shard():
    end = threading.Event()
    provider = PresenceProvider(lambda shard_id: for_shard(shard_id) if shard_id else end.wait(), timeout_s=5)
    slow = asyncio.ensure_future(provider.presence_of(0))
    try:
        assert await provider.presence_of(1) == for_shard(1)
        assert not slow.done()
    finally:
        end.set()
        await slow


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("no.such.module:function", "cannot import 'no.such.module:function': ModuleNotFoundError"),
        (f"{__name__}:absent", "cannot import .*absent': AttributeError"),
        (f"{__name__}:NOT_A_FUNCTION", "is not a function"),
        ({"status": "asleep"}, "unknown status 'asleep'"),
    ],
)
def test_a_wrong_source_ends_the_start(source, sentence):
    with pytest.raises(ConfigurationError, match=f"presence: .*{sentence}.*GATEWAY_PRESENCE"):
        PresenceProvider(source)
