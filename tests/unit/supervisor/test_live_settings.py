import logging

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.live_settings import LiveSettings


def options(**given):
    return GatewayOptions(token="a.b.c", **given)


def live_with(read, **given):
    """Return settings in force that are read again by ``read``, and what the shards are told of them."""
    told = []
    return LiveSettings(options(**given), read, lambda message: told.append(message.routes)), told


def test_new_routes_are_told_to_the_shards_and_kept_for_later_processes():
    live, told = live_with(lambda: options(routes={"B": {"drop": True}}, log_level="debug"), routes={"A": "a"})

    live.reload_routes()

    assert live.current == options(routes={"B": {"drop": True}})
    assert told == [{"B": {"drop": True}}]


def bad():
    raise ConfigurationError("gateway.toml: routes: 'A': is bad")


def test_a_bad_file_changes_nothing_and_says_so(caplog):
    live, told = live_with(bad, routes={"A": "a"})

    live.hang_up()
    for read_again in (live.reload_routes, live.read):
        with pytest.raises(ConfigurationError, match="is bad"):
            read_again()

    assert (live.current, told) == (options(routes={"A": "a"}), [])
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert [record.message for record in caplog.records] == ["routes.refused", "routes.refused", "settings.refused"]


def test_a_service_without_a_file_says_so():
    live, _ = live_with(None)

    with pytest.raises(ConfigurationError, match="no file to read again"):
        live.reload_routes()


def test_without_a_file_a_roll_goes_by_what_there_is():
    live, _ = live_with(None, log_level="error")

    assert live.read().changed == ()


def test_new_settings_are_in_force_when_they_are_used_and_not_before():
    new = options(outbox_max_bytes="1MiB", routes={"B": "b"}, once_url="redis://elsewhere")
    live, told = live_with(lambda: new)

    read = live.read()
    assert (read.changed, live.current, told) == (("routes", "outbox_max_bytes"), options(), [])
    live.use(read)

    assert (live.current, told) == (new, [{"B": {"queue": "b"}}])


def test_what_a_roll_cannot_bring_in_is_named():
    live, _ = live_with(lambda: options(intents="GUILDS", url="ws://127.0.0.1:9", log_level="debug"))

    with pytest.raises(ConfigurationError) as refusal:
        live.read()

    assert refusal.value.faults == (
        "intents: a rolling restart cannot change it; restart the service instead",
        "url: a rolling restart cannot change it; restart the service instead",
    )


def test_a_presence_that_leads_nowhere_is_refused():
    live, _ = live_with(lambda: options(presence="no_such_module:function"))

    with pytest.raises(ConfigurationError, match="presence: cannot import"):
        live.read()
