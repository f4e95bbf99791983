import pytest

from gateway_service.errors import RemoteProtocolError
from gateway_service.protocol.heartbeat import Heartbeater, Tick, interval_s_from_hello


@pytest.fixture
def heartbeater():
    return Heartbeater.start(40.0, now=100.0, jitter=0.25)


def beat(heartbeater, heard_at=0.0):
    now = heartbeater.next_deadline
    tick = heartbeater.tick(now, heard_at)
    heartbeater.beat_sent(now)
    return tick


@pytest.mark.parametrize(
    ("data", "interval_s"), [({"heartbeat_interval": 41250}, 41.25), ({"heartbeat_interval": 1.5}, 0.0015)]
)
def test_the_interval_is_milliseconds_on_the_wire(data, interval_s):
    assert interval_s_from_hello(data) == interval_s


@pytest.mark.parametrize(
    "data",
    [None, [], {}, *({"heartbeat_interval": value} for value in (None, "41250", True, 0, -1, 10**9, [], float("nan")))],
)
def test_a_hello_without_a_sensible_interval_is_the_servers_fault(data):
    with pytest.raises(RemoteProtocolError):
        interval_s_from_hello(data)


def test_only_the_first_beat_has_jitter(heartbeater):
    first = heartbeater.next_deadline
    beat(heartbeater)

    assert (first, heartbeater.next_deadline) == (110.0, 150.0)


def test_an_acked_beat_is_followed_by_another(heartbeater):
    beat(heartbeater)
    heartbeater.ack_received(111.0)

    assert beat(heartbeater) is Tick.BEAT


def test_silence_for_a_whole_interval_is_a_zombie(heartbeater):
    beat(heartbeater)

    assert beat(heartbeater, heard_at=109.0) is Tick.ZOMBIE


def test_any_frame_proves_liveness(heartbeater):
    beat(heartbeater)

    assert beat(heartbeater, heard_at=111.0) is Tick.BEAT


def test_acks_missing_for_three_intervals_raise_the_alarm_once(heartbeater):
    ticks = [beat(heartbeater, heard_at=heartbeater.next_deadline - 1) for _ in range(6)]

    assert ticks == [Tick.BEAT, Tick.BEAT, Tick.BEAT, Tick.BEAT_AND_ALARM, Tick.BEAT, Tick.BEAT]


def test_an_ack_ends_the_count_of_missing_ones(heartbeater):
    for _ in range(3):
        beat(heartbeater, heard_at=heartbeater.next_deadline - 1)
    heartbeater.ack_received(heartbeater.next_deadline - 1)
    beat(heartbeater)

    assert heartbeater.missed_acks == 0


def test_a_tick_late_by_more_than_an_interval_is_a_dead_connection(heartbeater):
    assert heartbeater.tick(heartbeater.next_deadline + 40.1, heard_at=0.0) is Tick.LATE


def test_a_tick_late_by_less_leaves_the_ack_a_whole_interval(heartbeater):
    heartbeater.tick(heartbeater.next_deadline + 39.0, heard_at=0.0)

    assert heartbeater.next_deadline == 110.0 + 39.0 + 40.0


def test_a_requested_beat_just_before_the_tick_makes_no_zombie(heartbeater):
    beat(heartbeater)
    heartbeater.ack_received(110.2)
    heartbeater.answer_sent(149.9)

    assert beat(heartbeater, heard_at=110.2) is Tick.BEAT


def test_latency_is_from_a_beat_to_its_own_ack(heartbeater):
    heartbeater.answer_sent(105.0)
    heartbeater.answer_sent(106.0)
    heartbeater.ack_received(105.5)
    first = heartbeater.latency_s
    heartbeater.ack_received(106.25)

    assert (first, heartbeater.latency_s) == (0.5, 0.25)


def test_an_ack_that_nothing_asked_for_changes_no_latency(heartbeater):
    heartbeater.ack_received(105.0)

    assert heartbeater.latency_s is None
