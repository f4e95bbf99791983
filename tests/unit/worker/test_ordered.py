"""The retries of an ordered handler happen where it runs."""

import pytest
from celery import Celery
from celery.app.trace import build_tracer

from gateway_service.contract import Dispatch
from gateway_service.worker.gateway import Gateway

DISPATCH = Dispatch(event="A", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=None, received_at=0.0)
HEADERS = {
    "event": "A",
    "bot_id": "100",
    "shard": [0, 1],
    "seq": 1,
    "session": "s",
    "guild_id": None,
    "received_at": 0.0,
}


@pytest.fixture
def attempts():
    return []


@pytest.fixture
def run(app, gateway, attempts):
    """Run a handler as a worker does; it fails as often as it is told to."""

    def run(failures, *, bind=True, **options):
        def explicit(self, data, dispatch):
            attempts.append((self.request.retries, data, dispatch.seq))
            if len(attempts) <= failures:
                raise self.retry(exc=ValueError("not yet"), countdown=0)
            return "done"

        def automatic(data, dispatch):
            attempts.append((data, dispatch.seq))
            if len(attempts) <= failures:
                raise ValueError("not yet")
            return "done"

        gateway.on("A", bind=bind, ordered=True, name="handler", default_retry_delay=0, **options)(
            explicit if bind else automatic
        )
        app.finalize()
        task = app.tasks["handler"]
        trace = build_tracer(task.name, task, app=app)
        return trace("id", [{"a": 1}], {}, {"headers": HEADERS, "is_eager": False})

    return run


def test_a_retry_is_made_at_once_and_here(run, attempts):
    result = run(2, max_retries=3)

    assert result.retval == "done"
    assert attempts == [(0, {"a": 1}, 1), (1, {"a": 1}, 1), (2, {"a": 1}, 1)]


def test_the_last_retry_fails_with_the_cause(run, attempts):
    result = run(10, max_retries=1)

    assert "not yet" in str(result.retval)
    assert len(attempts) == 2


def test_automatic_retries_are_made_here_too(run, attempts):
    result = run(1, bind=False, autoretry_for=(ValueError,), retry_kwargs={"countdown": 0}, max_retries=3)

    assert (result.retval, len(attempts)) == ("done", 2)


def test_an_ordered_handler_can_be_called_as_the_function_it_is():
    with Celery("test", broker="memory://", set_as_current=False) as app:

        @Gateway(app).on("A", ordered=True)
        def handler(data, dispatch):
            return data, dispatch

        assert handler({}, DISPATCH) == ({}, DISPATCH)
