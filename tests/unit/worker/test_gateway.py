from functools import partial
from types import SimpleNamespace

import pytest
from celery.concurrency import ALIASES

from gateway_service.contract import Dispatch
from gateway_service.errors import EX_CONFIG, ConfigurationError
from gateway_service.worker.gateway import Gateway
from gateway_service.worker.strategy import EventTask

DISPATCH = Dispatch(event="READY", bot_id="100", shard=(0, 1), seq=1, session="s", guild_id=None, received_at=0.0)


def one_argument(data): ...


def two_arguments(data, dispatch): ...


async def coroutine(data, dispatch): ...


async def generator(data, dispatch):
    yield data, dispatch


def prepare(gateway, **options):
    gateway._prepare_worker(SimpleNamespace(app=gateway.app), {"pool": "solo", **options})


def consumed(app):
    return set(app.amqp.queues.consume_from)


def test_a_handler_can_be_called_as_the_function_it_is(gateway):
    @gateway.on("MESSAGE_CREATE")
    def greet(data, dispatch):
        """Greet."""
        return data, dispatch

    assert greet({"a": 1}, DISPATCH) == ({"a": 1}, DISPATCH)
    assert (greet.__name__, greet.__doc__) == ("greet", "Greet.")


def test_a_bound_handler_gets_its_task_first(gateway):
    @gateway.on("MESSAGE_CREATE", bind=True)
    def greet(self, data, dispatch):
        return self.name, data, dispatch

    assert greet({}, DISPATCH) == (f"{__name__}.greet", {}, DISPATCH)


def test_a_handler_without_a_dispatch_says_so(gateway):
    @gateway.on("MESSAGE_CREATE")
    def greet(data, dispatch): ...

    with pytest.raises(TypeError, match="greet was called without a Dispatch"):
        greet({})


def test_a_handler_is_a_task_with_the_options_it_was_given(gateway, app):
    @gateway.on("MESSAGE_CREATE", max_retries=7, time_limit=30, name="hello")
    def greet(data, dispatch): ...

    task = app.tasks["hello"]

    assert (task.max_retries, task.time_limit, task.serializer) == (7, 30, "gateway-json")


def test_handlers_of_one_event_share_its_task_and_its_queue(gateway, app):
    @gateway.on("MESSAGE_CREATE", name="first")
    def first(data, dispatch): ...

    @gateway.on("MESSAGE_CREATE", "GUILD_CREATE", name="second")
    def second(data, dispatch): ...

    prepare(gateway)

    assert isinstance(app.tasks["gateway.MESSAGE_CREATE"], EventTask)
    assert app.tasks["gateway.MESSAGE_CREATE"].handlers == ("first", "second")
    assert app.tasks["gateway.GUILD_CREATE"].handlers == ("second",)
    assert consumed(app) == {"default.MESSAGE_CREATE", "default.GUILD_CREATE"}


def test_naming_an_event_twice_runs_the_handler_once(gateway, app):
    @gateway.on("READY", "READY", name="handler")
    def handler(data, dispatch): ...

    prepare(gateway)

    assert app.tasks["gateway.READY"].handlers == ("handler",)


def test_another_group_has_queues_of_its_own(app):
    moderation = Gateway(app, group="moderation")

    @moderation.on("MESSAGE_CREATE")
    def judge(data, dispatch): ...

    prepare(moderation)

    assert consumed(app) == {"moderation.MESSAGE_CREATE"}


@pytest.mark.parametrize(
    ("options", "queues"),
    [
        ({"queues": "default.A"}, {"default.A"}),
        ({"queues": ["default.A", "other"]}, {"default.A", "other"}),
        ({"exclude_queues": ["default.A"]}, {"default.B"}),
        ({}, {"default.A", "default.B"}),
    ],
)
def test_queues_can_be_chosen_as_with_any_worker(gateway, app, options, queues):
    @gateway.on("A", "B")
    def handler(data, dispatch): ...

    prepare(gateway, **options)
    wanted = options.get("queues")
    app.amqp.queues.select([wanted] if isinstance(wanted, str) else wanted)

    assert consumed(app) == queues


def test_a_queue_that_is_not_chosen_is_not_declared(gateway, app):
    @gateway.on("A", "B")
    def handler(data, dispatch): ...

    prepare(gateway, queues=["default.A"])

    assert "default.B" not in set(app.amqp.queues)


def test_ordinary_tasks_bring_the_ordinary_queue(gateway, app):
    @gateway.on("A")
    def handler(data, dispatch): ...

    @app.task(shared=False)
    def ordinary(): ...

    prepare(gateway)

    assert consumed(app) == {"default.A", "celery"}


def test_a_task_named_after_an_event_has_the_queue_of_that_event(gateway, app):
    @app.task(name="gateway.MESSAGE_CREATE", shared=False)
    def plain(data): ...

    prepare(gateway)

    assert consumed(app) == {"default.MESSAGE_CREATE"}
    assert app.tasks["gateway.MESSAGE_CREATE"].Strategy.endswith("run_one")


def test_an_odd_event_name_has_a_task_and_a_queue(gateway, app):
    @gateway.on("A B")
    def handler(data, dispatch): ...

    prepare(gateway)

    [queue] = app.amqp.queues.consume_from.values()
    assert queue.events_keys == (f"{queue.name.removeprefix('default.')}.*",)
    assert f"gateway.{queue.name.removeprefix('default.')}" in app.tasks


def test_a_worker_of_another_application_is_left_alone(gateway, app):
    @gateway.on("A")
    def handler(data, dispatch): ...

    gateway._prepare_worker(SimpleNamespace(app=object()), {})

    assert consumed(app) == {"celery"}


def test_a_green_pool_has_no_heartbeat(gateway, app, monkeypatch):
    monkeypatch.setitem(ALIASES, "green", "celery.concurrency.solo:TaskPool")
    monkeypatch.setattr("celery.concurrency.solo.TaskPool.is_green", True)

    gateway.on("A")(two_arguments)
    prepare(gateway, pool="green")

    assert app.conf.broker_heartbeat == 0


def test_two_handlers_cannot_have_one_name(gateway):
    @gateway.on("A", name="same")
    def first(data, dispatch): ...

    with pytest.raises(ConfigurationError, match="two handlers are named same"):

        @gateway.on("B", name="same")
        def second(data, dispatch): ...


def test_an_event_has_handlers_or_a_task_of_its_name_and_not_both(gateway, app):
    @gateway.on("READY", name="greet")
    def greet(data, dispatch): ...

    @app.task(name="gateway.READY", shared=False)
    def plain(data): ...

    with pytest.raises(ConfigurationError, match=r"'gateway.READY' and the handler 'greet' are both for READY"):
        gateway.check()


def test_nothing_to_run_is_refused(gateway):
    with pytest.raises(ConfigurationError, match="no task was found"):
        gateway.check()


@pytest.mark.parametrize("kind", ["handler", "ordinary", "plain"])
def test_any_task_is_enough_to_start(gateway, app, kind):
    if kind == "handler":
        gateway.on("A")(two_arguments)
    else:
        app.task(name="gateway.A" if kind == "plain" else "a", shared=False)(one_argument)

    gateway.check()


@pytest.mark.parametrize("events", [(), (5,), (len,)])
def test_events_are_named(gateway, events):
    with pytest.raises(TypeError, match="takes the names of dispatches"):
        gateway.on(*events)


def test_options_that_we_decide_are_refused(gateway):
    with pytest.raises(TypeError, match=r"on\(...\) decides exchange, queue itself"):
        gateway.on("A", queue="mine", exchange="mine")


@pytest.mark.parametrize(
    ("function", "bind", "reason"),
    [
        (one_argument, False, r"one_argument must take \(data, dispatch\)"),
        (two_arguments, True, r"two_arguments must take \(self, data, dispatch\)"),
        (coroutine, False, "coroutine is async"),
        (generator, False, "generator is async"),
        (5, False, "takes a function that has a name, not 5"),
        (lambda *_: None, False, "takes a function that has a name, not <function <lambda>"),
        (partial(two_arguments), False, "takes a function that has a name, not functools.partial"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_at_once(gateway, function, bind, reason):
    with pytest.raises(TypeError, match=reason):
        gateway.on("A", bind=bind)(function)


def test_a_handler_is_not_decorated_twice(gateway):
    @gateway.on("A")
    def handler(data, dispatch): ...

    with pytest.raises(TypeError, match="is a handler already"):
        gateway.on("B")(handler)


def test_folded_events_share_a_queue_that_their_retries_know(gateway, app):
    app.conf.gateway_routes = {"MESSAGE_*": {"queue": "messages", "ttl_s": 30}}
    gateway.on("MESSAGE_CREATE", "MESSAGE_UPDATE")(two_arguments)

    prepare(gateway)

    assert consumed(app) == {"default.messages"}
    assert app.tasks["gateway.MESSAGE_UPDATE"].queue == "default.messages"
    assert app.tasks["gateway.MESSAGE_UPDATE"].ttl_s == 30


def refused(gateway, capsys, **options):
    with pytest.raises(SystemExit) as refused:
        prepare(gateway, **options)
    assert refused.value.code == EX_CONFIG
    return capsys.readouterr().err


def test_ordered_handlers_are_refused_where_the_broker_cannot_keep_an_order(gateway, capsys):
    gateway.on("A", ordered=True, name="neat")(two_arguments)

    assert refused(gateway, capsys) == (
        "Error: the ordered handler 'neat' needs queues with a single active consumer, which memory does not have; "
        "use RabbitMQ\n"
    )


def test_ordered_handlers_are_refused_in_a_pool_of_threads(gateway, capsys):
    gateway.on("A", ordered=True, name="neat")(two_arguments)

    assert "cannot keep the order that 'neat' asks for" in refused(gateway, capsys, pool="threads")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("accept_content", ["pickle"]), ("task_protocol", 1), ("worker_detect_quorum_queues", False)],
)
def test_a_setting_of_the_application_that_handlers_cannot_live_with_is_refused(gateway, app, capsys, setting, value):
    gateway.on("A")(two_arguments)
    app.conf[setting] = value

    assert refused(gateway, capsys).startswith(f"Error: {setting} must ")


@pytest.mark.usefixtures("gateway")
def test_an_application_gets_our_settings_and_keeps_its_own(app):
    app.conf.worker_prefetch_multiplier = 5

    assert (app.conf.task_acks_late, app.conf.worker_prefetch_multiplier) == (True, 5)
    assert app.conf.broker_url == "memory://"


def test_two_groups_in_one_application_are_refused(gateway, app, capsys):
    gateway.on("A", name="one")(two_arguments)
    Gateway(app, group="other").on("A", name="two")(two_arguments)

    assert "has handlers of 2 groups, default, other; give each group an application" in refused(gateway, capsys)


def test_a_group_without_handlers_leaves_the_application_to_the_other(gateway, app):
    other = Gateway(app, group="other")
    other.on("A", name="two")(two_arguments)

    prepare(gateway)
    prepare(other)

    assert consumed(app) == {"other.A"}


@pytest.mark.parametrize("group", ["", "gateway", "a.b", "a b"])
def test_a_group_has_a_name_that_queues_can_have(app, group):
    with pytest.raises(ConfigurationError, match="group: must be letters, digits"):
        Gateway(app, group=group)
