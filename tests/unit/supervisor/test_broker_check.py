import threading

import pytest

from gateway_service.errors import BrokerUnavailable
from gateway_service.settings import SecretUrl
from gateway_service.supervisor.broker_check import check_broker

URL = SecretUrl("amqp://user:hidden-password@broker:5672//")


async def test_a_broker_that_accepts_is_there():
    asked = []
    await check_broker(URL, asked.append)

    assert asked == [URL.get_secret_value()]


async def test_a_broker_that_refuses_is_not():
    def refuse(_url):
        raise BrokerUnavailable("broker", "refused")

    with pytest.raises(BrokerUnavailable, match="refused"):
        await check_broker(URL, refuse)


async def test_a_broker_that_stays_silent_is_named_without_its_password():
    end = threading.Event()
    try:
        with pytest.raises(BrokerUnavailable, match=r"no answer within 0\.01 s") as caught:
            await check_broker(URL, lambda _: end.wait(), timeout_s=0.01)
    finally:
        end.set()

    assert "broker:5672" in str(caught.value)
    assert "hidden-password" not in str(caught.value)
