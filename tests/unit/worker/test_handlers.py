from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import MaxRetriesExceededError

from gateway_service.worker.confirmed import confirming_producers
from gateway_service.worker.handlers import round_delay_up

HEADERS = {
    "event": "A",
    "bot_id": "100",
    "shard": [0, 1],
    "seq": 1,
    "session": "s",
    "received_at": 0.0,
    "queue": "default.A",
}


@pytest.fixture
def handler(gateway, app):
    @gateway.on("A", bind=True, max_retries=1, name="handler")
    def handler(self, data, _dispatch):
        raise self.retry(countdown=data["countdown"])

    return app.tasks["handler"]


@pytest.fixture
def running(handler):
    """The handler while it runs, as the worker's tracer sets it up."""
    handler.push_request(
        id="s-1.default.handler",
        args=[{"content": "a secret"}],
        kwargs={},
        retries=0,
        called_directly=False,
        headers=HEADERS,
        argsrepr="(<A of shard 0/1>,)",
        kwargsrepr="{}",
        delivery_info={"exchange": "gateway.events", "routing_key": "A.0"},
    )
    yield handler
    handler.pop_request()


def test_a_retry_goes_to_the_queue_that_the_dispatch_came_from(running):
    signature = running.signature_from_request(retries=1)

    assert signature.options["queue"] == "default.A"
    assert "exchange" not in signature.options


def test_a_retry_keeps_the_dispatch(running):
    signature = running.signature_from_request(retries=1)

    assert signature.options["headers"] == HEADERS
    assert signature.args == ({"content": "a secret"},)


def test_a_retry_shows_no_content(running):
    signature = running.signature_from_request(retries=1)

    assert signature.options["argsrepr"] == "(<A of shard 0/1>,)"


def test_the_last_retry_shows_no_content(running):
    running.request.retries = running.max_retries

    with pytest.raises(MaxRetriesExceededError) as refused:
        running.retry()

    assert str(refused.value) == "handler gave up on s-1.default.handler after its last retry"


def test_the_last_retry_raises_the_error_that_caused_it(running):
    running.request.retries = running.max_retries

    with pytest.raises(KeyError, match="cause"):
        running.retry(exc=KeyError("cause"))


@pytest.mark.parametrize(("asked", "waited"), [(0, 0), (0.4, 1), (1, 1), (1.2, 2), (-3, 0)])
def test_a_delay_is_whole_seconds_and_never_shorter_than_asked_for(asked, waited):
    options = {"countdown": asked}

    round_delay_up(options)

    assert options == {"countdown": waited}


@pytest.mark.parametrize("timezone", [UTC, None])
def test_a_moment_becomes_a_delay(timezone):
    options = {"eta": (datetime.now(UTC) + timedelta(seconds=4.5)).replace(tzinfo=timezone)}

    round_delay_up(options)

    assert options == {"countdown": 5}


@pytest.mark.parametrize("options", [{}, {"countdown": None, "eta": None}])
def test_what_has_no_delay_gets_none(options):
    round_delay_up(options)

    assert not any(options.values())


def test_an_eager_retry_needs_no_broker(handler, app):
    app.conf.task_always_eager = True

    result = handler.apply_async(args=[{"countdown": 0}], headers=HEADERS)

    assert isinstance(result.result, MaxRetriesExceededError)


def test_a_retry_is_confirmed_by_the_broker(app):
    pool = confirming_producers(app)

    assert pool.connections.connection.transport_options["confirm_publish"] is True
