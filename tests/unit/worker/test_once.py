import json

import pytest
from celery.exceptions import Ignore, Reject, Retry

from gateway_service.contract import Dispatch
from gateway_service.state.once import RunKey
from gateway_service.worker.once import LOCAL_ONCE_URL, ONCE_URL_KEY, key_of, once_url_of, runs_of

DISPATCH = Dispatch(event="A", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=None, received_at=0.0)
HEADERS = {
    "event": "A",
    "bot_id": "100",
    "shard": [0, 1],
    "seq": 1,
    "session": "s",
    "received_at": 0.0,
    "queue": "default.A",
}
REQUEST = {
    "id": "s-1.default.handler",
    "kwargs": {},
    "called_directly": False,
    "headers": HEADERS,
    "argsrepr": "(<A of shard 0/1>,)",
    "kwargsrepr": "{}",
    "delivery_info": {"exchange": "gateway.events", "routing_key": "A.0"},
}


@pytest.fixture
def handler(gateway, app, tmp_path):
    app.conf[ONCE_URL_KEY] = f"sqlite:///{tmp_path}/once.db"

    @gateway.on("A", bind=True, max_retries=3, name="handler", once=True)
    def handler(self, data, _dispatch):
        if isinstance(data, type) and issubclass(data, BaseException):
            raise data
        if data == "reject":
            raise Reject("never")
        if data == "requeue":
            raise Reject("later", requeue=True)
        if data == "retry":
            raise Retry
        return self.request.retries

    yield app.tasks["handler"]
    runs_of(app).close()


def run(handler, data, retries=0, **headers):
    """Run the handler as the worker's tracer does."""
    handler.push_request(args=[data], retries=retries, **{**REQUEST, "headers": HEADERS | headers})
    try:
        return handler.run(data)
    finally:
        handler.pop_request()


def test_a_run_that_was_made_is_not_made_again(handler):
    run(handler, None)

    with pytest.raises(Ignore):
        run(handler, None)


@pytest.mark.parametrize(
    ("wish", "raised"), [(KeyError, KeyError), ("retry", Retry), ("reject", Reject), (Ignore, Ignore)]
)
def test_whatever_a_handler_raises_is_an_outcome(handler, wish, raised):
    with pytest.raises(raised):
        run(handler, wish)

    with pytest.raises(Ignore):
        run(handler, None)


@pytest.mark.parametrize(
    ("wish", "raised"), [("requeue", Reject), (SystemExit, SystemExit), (KeyboardInterrupt, KeyboardInterrupt)]
)
def test_a_run_that_ends_without_an_outcome_is_free_at_once(handler, wish, raised):
    with pytest.raises(raised):
        run(handler, wish)

    assert run(handler, None) == 0


def test_each_retry_is_a_run_of_its_own(handler):
    assert [run(handler, None, retries=retries) for retries in range(3)] == [0, 1, 2]


def test_what_an_operator_takes_out_of_the_dead_runs_again(handler):
    run(handler, None)

    assert run(handler, None, requeues=1) == 0


def test_a_handler_that_is_called_as_a_function_needs_no_store(handler):
    assert [handler(None, DISPATCH), handler(None, DISPATCH)] == [0, 0]


def put_off_message(app):
    """Return the message that a run left behind."""
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("default.A", no_ack=True)
        return message and (message.headers, json.loads(message.body)[0])


def test_a_run_that_another_is_at_comes_again_later_with_no_retry_counted(handler, app):
    key = RunKey("100", "s-1.default.handler:2:0")
    runs_of(app)._opened().begin(key, "another", 600)

    with pytest.raises(Ignore):
        run(handler, "hello", retries=2)

    headers, args = put_off_message(app)
    assert (headers["id"], headers["retries"], headers["seq"], args) == ("s-1.default.handler", 2, 1, ["hello"])
    assert headers["eta"] is not None


def test_without_its_store_a_handler_does_not_run_and_the_message_is_not_lost(handler, app, tmp_path):
    (tmp_path / "file").touch()
    app.conf[ONCE_URL_KEY] = f"sqlite:///{tmp_path}/file/once.db"

    with pytest.raises(Ignore):
        run(handler, "hello")

    assert put_off_message(app)[1] == ["hello"]


def test_the_key_names_bot_dispatch_handler_retry_and_requeue(handler):
    handler.push_request(retries=2, **{**REQUEST, "headers": HEADERS | {"requeues": 1}})

    assert key_of(handler.request) == RunKey("100", "s-1.default.handler:2:1")


@pytest.mark.parametrize(
    ("broker", "given", "url"),
    [
        ("amqp://host//", None, LOCAL_ONCE_URL),
        ("redis://host/3", None, "redis://host/3"),
        ("sentinel://host", None, LOCAL_ONCE_URL),
        ("redis://host/3", "redis://other/0", "redis://other/0"),
    ],
)
def test_runs_are_noted_where_it_is_set_else_in_a_redis_broker_else_on_this_host(app, broker, given, url):
    app.conf.broker_url = broker
    app.conf[ONCE_URL_KEY] = given

    assert once_url_of(app) == url
