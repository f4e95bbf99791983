import time

import pytest
from celery.exceptions import Ignore

from gateway_service.contract import Dispatch
from gateway_service.worker.callback import callback_for
from gateway_service.worker.interactions import can_be_deferred, created_at
from gateway_service.worker.lateness import BUCKETS_S, Lateness, lateness_of

HEADERS = {
    "event": "INTERACTION_CREATE",
    "bot_id": "100",
    "shard": [0, 1],
    "seq": 1,
    "session": "s",
    "received_at": 0.0,
}
DISCORD_EPOCH_S = 1_420_070_400


def interaction(age_s=0.0, **more):
    """An interaction that Discord made ``age_s`` seconds ago."""
    made_ms = round((time.time() - age_s - DISCORD_EPOCH_S) * 1000)
    return {"id": str(made_ms << 22), "type": 2, **more}


def run(handler, data, *, retries=0, redelivered=False, event="INTERACTION_CREATE"):
    handler.push_request(
        id="s-1.default.handler",
        retries=retries,
        called_directly=False,
        headers=HEADERS | {"event": event},
        delivery_info={"redelivered": redelivered},
    )
    try:
        return handler.run(data)
    finally:
        handler.pop_request()


@pytest.fixture
def make(gateway, app):
    app.conf.worker_send_task_events = False

    def make(*events, **options):
        @gateway.on(*(events or ("INTERACTION_CREATE",)), name="handler", **options)
        def handler(_data, _dispatch):
            return "answered"

        return app.tasks["handler"]

    return make


def test_the_age_is_in_the_snowflake():
    # See Discord: reference#snowflakes, its own example.
    assert created_at({"id": "175928847299117063"}, otherwise=0) == 1_462_015_105.796


@pytest.mark.parametrize("data", [{}, None, [], {"id": None}, {"id": "x"}])
def test_an_id_that_tells_no_time_is_as_old_as_its_dispatch(data):
    assert created_at(data, otherwise=5.0) == 5.0


@pytest.mark.parametrize(
    ("options", "age_s", "is_answered"),
    [
        ({}, 0.0, True),
        ({}, 2.0, True),
        ({}, 2.6, False),
        ({"expires_s": 10}, 9.0, True),
        ({"expires_s": 10}, 11.0, False),
        ({"expires_s": None}, 5000.0, True),
    ],
)
def test_nobody_answers_an_interaction_that_is_too_old(make, options, age_s, is_answered):
    handler = make(**options)

    if is_answered:
        assert run(handler, interaction(age_s)) == "answered"
    else:
        with pytest.raises(Ignore):
            run(handler, interaction(age_s))


def test_a_retry_has_the_time_of_a_deferred_answer(make):
    handler = make()

    assert run(handler, interaction(600.0), retries=1) == "answered"
    with pytest.raises(Ignore):
        run(handler, interaction(1000.0), retries=1)


def test_a_second_delivery_has_no_more_time_where_nothing_tells_whether_it_was_deferred(make):
    with pytest.raises(Ignore):
        run(make(), interaction(5.0), redelivered=True)


def test_other_dispatches_of_the_handler_do_not_expire(make):
    assert run(make("INTERACTION_CREATE", "MESSAGE_CREATE"), interaction(60), event="MESSAGE_CREATE") == "answered"


@pytest.mark.parametrize("option", [{"defer": True}, {"expires_s": 1.0}, {"expires_s": None}])
def test_only_handlers_of_interactions_have_their_options(gateway, option):
    with pytest.raises(TypeError, match="defer and expires_s are for handlers of INTERACTION_CREATE"):
        gateway.on("MESSAGE_CREATE", **option)


def test_a_handler_that_is_called_as_a_function_is_never_late(make):
    dispatch = Dispatch(
        event="INTERACTION_CREATE", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=None, received_at=0.0
    )

    assert make(defer=True)(interaction(60), dispatch) == "answered"


@pytest.mark.parametrize(("kind", "can"), [(1, False), (2, True), (3, True), (4, False), (5, True), (None, False)])
def test_pings_and_autocompletion_cannot_be_deferred(kind, can):
    assert can_be_deferred({"type": kind}) is can


def test_a_component_defers_its_message_and_a_command_an_answer():
    assert callback_for({"type": 3}, is_private=True) == {"type": 6}
    assert callback_for({"type": 2}, is_private=False) == {"type": 5, "data": {"flags": 0}}
    assert callback_for({"type": 5}, is_private=True) == {"type": 5, "data": {"flags": 64}}


def test_lateness_is_counted_by_bucket_and_what_expired_beside(make, app):
    handler = make()
    run(handler, interaction(0.0))
    run(handler, interaction(1.2))
    run(handler, interaction(1.2), retries=1)  # not late by our doing
    with pytest.raises(Ignore):
        run(handler, interaction(60.0))

    measured = lateness_of(app).read()
    assert dict(zip((*BUCKETS_S, None), measured.counts, strict=True)) == {
        **dict.fromkeys(BUCKETS_S, 0),
        0.1: 1,
        1.5: 1,
        None: 1,
    }
    assert measured.expired == 1
    assert measured.sum_s == pytest.approx(61.2, abs=1)


def test_a_bound_belongs_to_its_bucket():
    lateness = Lateness()
    lateness.observe(2.5)
    lateness.observe(-0.3)  # a clock that is behind Discord's

    assert dict(zip(BUCKETS_S, lateness.read().counts, strict=False))[2.5] == 1
    assert lateness.read().counts[0] == 1
