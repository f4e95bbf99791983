import logging

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.live_routes import LiveRoutes


def routes(**table):
    return GatewayOptions(token="a.b.c", routes=table).routes


def test_new_routes_are_told_to_the_shards_and_kept_for_later_processes():
    told = []
    live = LiveRoutes(routes(A="a"), lambda: routes(B={"drop": True}), told.append)

    live.reload()

    assert live.current == routes(B={"drop": True})
    assert [message.routes for message in told] == [{"B": {"drop": True}}]


def test_a_bad_file_changes_nothing_and_says_so(caplog):
    def read():
        raise ConfigurationError("gateway.toml: routes: 'A': is bad")

    told = []
    live = LiveRoutes(routes(A="a"), read, told.append)

    live.hang_up()
    with pytest.raises(ConfigurationError, match="is bad"):
        live.reload()

    assert (live.current, told) == (routes(A="a"), [])
    assert {(record.levelno, record.message) for record in caplog.records} == {(logging.ERROR, "routes.refused")}


def test_a_service_without_a_file_says_so():
    with pytest.raises(ConfigurationError, match="no file to read again"):
        LiveRoutes(routes(), None, lambda _message: None).reload()
