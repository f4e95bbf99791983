import json

import pytest

from tests.support.machine import INTERVAL_S, closed, endings, noted, sent


def beats(effects):
    return [data for op, data in sent(effects) if op == 1]


def test_the_first_beat_comes_after_a_random_part_of_the_interval(shell, rng):
    rng.value = 0.25
    shell.to_permit_wait()

    assert (beats(shell.wait(INTERVAL_S * 0.24)), beats(shell.wait(INTERVAL_S * 0.02))) == ([], [None])


def test_beating_begins_before_identify_with_null(shell):
    shell.to_permit_wait()
    effects = []
    for _ in range(10):
        effects += shell.wait(INTERVAL_S / 4)
        shell.op(11)

    assert beats(effects) == [None, None, None]


def test_a_beat_carries_the_published_sequence_and_not_the_received_one(shell):
    shell.to_live()
    shell.dispatch("MESSAGE_CREATE", {})
    shell.machine.published(1)

    assert beats(shell.wait(INTERVAL_S)) == [1]


def test_a_beat_has_null_as_long_as_nothing_is_published(shell):
    shell.to_live()

    assert beats(shell.wait(INTERVAL_S)) == [None]


def test_the_servers_request_is_answered_at_once_with_op_1(shell):
    shell.to_live()
    shell.machine.published(1)

    assert sent(shell.op(1)) == [(1, 1)]


def test_the_servers_request_is_answered_before_hello(shell):
    shell.to_hello()

    assert sent(shell.op(1)) == [(1, None)]


def test_a_flood_of_requests_stops_below_the_send_limit(shell):
    shell.to_live()

    effects = [effect for _ in range(300) for effect in shell.op(1)]

    assert (len(beats(effects)), noted(effects)[0]) == (116, "heartbeat.suppressed")


def test_a_silent_connection_is_a_zombie_and_is_resumed(shell):
    shell.to_live()

    effects = shell.wait(INTERVAL_S * 1.5)

    assert (closed(effects), endings(effects)[0]["cause"], endings(effects)[0]["resume"]) == ([4000], "zombie", True)


def test_frames_without_acks_keep_the_connection(shell):
    shell.to_live()
    effects = []
    for _ in range(20):
        effects += shell.wait(INTERVAL_S / 2)
        shell.dispatch("MESSAGE_CREATE", {})

    assert (closed(effects), shell.machine.state) == ([], "live")


def test_frames_without_acks_raise_the_alarm_after_three_intervals(shell):
    shell.to_live()
    effects = []
    for _ in range(20):
        effects += shell.wait(INTERVAL_S / 2)
        shell.dispatch("MESSAGE_CREATE", {})

    assert noted(effects) == ["heartbeat.acks_missing"]


@pytest.mark.parametrize("serve", ["timer", "frame"])
def test_a_tick_late_by_more_than_an_interval_reconnects(shell, serve):
    shell.to_live()
    shell.now += INTERVAL_S * 1.5 + 0.1

    effects = shell.perform(shell.machine.handle_timer(shell.now)) if serve == "timer" else shell.op(11)

    assert (closed(effects), endings(effects)[0]["cause"]) == ([4000], "late")


def test_each_connection_starts_a_fresh_cycle(shell):
    shell.to_live()
    shell.wait(INTERVAL_S * 0.6)  # a beat without an ACK
    shell.lost()
    shell.wait_until_dial()
    shell.connected()
    shell.hello()

    assert closed(shell.wait(INTERVAL_S * 0.9)) == []


def test_latency_is_measured_and_starts_over_with_each_connection(shell):
    shell.to_live()
    shell.wait(INTERVAL_S / 2)
    shell.now += 0.25
    shell.op(11)
    measured = shell.machine.latency_s
    shell.lost()

    assert (measured, shell.machine.latency_s) == (0.25, None)


def test_an_ack_before_hello_is_harmless(shell):
    shell.to_hello()

    assert (shell.op(11), shell.machine.latency_s) == ([], None)


def test_a_beat_that_would_break_the_send_limit_is_left_out(shell):
    shell.to_live()
    shell.wait(INTERVAL_S / 2 - 0.1)
    while shell.machine._wire.limiter.take_vital(shell.now):
        pass

    assert noted(shell.wait(0.2)) == ["heartbeat.suppressed"]


def test_an_unanswered_beat_before_the_first_frame_is_a_zombie_too(shell):
    shell.to_permit_wait()

    assert closed(shell.wait(INTERVAL_S * 1.5)) == [4000]


def test_a_heartbeat_is_compact(shell):
    shell.to_hello()
    (answer,) = shell.op(1)

    assert (answer.data, json.loads(answer.data)) == (b'{"op":1,"d":null}', {"op": 1, "d": None})
