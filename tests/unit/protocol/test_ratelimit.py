from math import inf

from gateway_service.protocol.ratelimit import SendLimiter, SlidingWindow


def test_a_window_takes_its_limit_and_no_more():
    window = SlidingWindow(3, 20.0)
    for _ in range(3):
        window.record(100.0)

    assert not window.has_room(100.0)


def test_a_window_has_room_again_when_the_first_event_left_it():
    window = SlidingWindow(2, 20.0)
    window.record(100.0)
    window.record(110.0)

    assert [window.has_room(120.0), window.has_room(window.room_at())] == [False, True]


def test_a_window_slides_and_is_not_refilled_at_once():
    window = SlidingWindow(2, 20.0)
    window.record(100.0)
    window.record(119.0)

    assert (window.count(121.0), window.count(139.5)) == (1, 0)


def test_a_window_with_room_has_it_already():
    assert SlidingWindow(2, 20.0).room_at() == -inf


def test_commands_leave_room_for_the_heartbeats_of_a_window():
    limiter = SendLimiter()
    limiter.reserve_heartbeats(41.25)

    taken = sum(limiter.take_command(0.0) for _ in range(200))

    assert taken == 120 - 2 - 3


def test_heartbeats_pass_when_commands_may_not():
    limiter = SendLimiter()
    while limiter.take_command(0.0):
        pass

    assert limiter.take_vital(0.0)


def test_answers_leave_room_for_identify():
    limiter = SendLimiter()
    while limiter.take_answer(0.0):
        pass

    assert limiter.take_vital(0.0)


def test_nothing_passes_beyond_discords_limit():
    limiter = SendLimiter()

    assert sum(limiter.take_vital(0.0) for _ in range(200)) == 120


def test_a_tiny_heartbeat_interval_leaves_half_of_the_limit_to_commands():
    limiter = SendLimiter()
    limiter.reserve_heartbeats(0.05)

    assert sum(limiter.take_command(0.0) for _ in range(200)) == 60


def test_commands_have_room_again_at_the_promised_moment():
    limiter = SendLimiter()
    while limiter.take_command(0.0):
        pass

    assert limiter.take_command(limiter.command_room_at())
