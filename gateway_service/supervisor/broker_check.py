"""Is the broker there? Asked once, before shards start to receive what nobody could publish."""

from collections.abc import Callable
from typing import Final

from gateway_service.errors import BrokerUnavailable
from gateway_service.settings import SecretUrl
from gateway_service.supervisor.threads import call_in_thread

# A link gives up after 5 s by itself. This also covers the loading of its client library, which takes seconds on a busy
# machine or a fraction of a CPU, and is no fault of the broker.
TIMEOUT_S: Final = 20.0

Connect = Callable[[str], None]
"""Connects to the broker of a URL and disconnects, or raises BrokerUnavailable."""


def connect_once(broker_url: str) -> None:
    """Connect as a shard process will, declare what it publishes to, and disconnect."""
    # Imported here: the supervisor holds no connection of its own and needs no broker client after this.
    from gateway_service.publisher import Origin, make_link

    link = make_link(broker_url, Origin(bot_id=""))  # it publishes nothing
    try:
        link.connect()
    finally:
        link.close()


async def check_broker(broker_url: SecretUrl, connect: Connect = connect_once, *, timeout_s: float = TIMEOUT_S) -> None:
    """Make sure that the broker takes us.

    Raises:
        BrokerUnavailable: It does not, or gives no answer in time.
    """
    url = broker_url.get_secret_value()
    try:
        await call_in_thread(lambda: connect(url), name="broker-check", timeout_s=timeout_s)
    except TimeoutError:
        raise BrokerUnavailable(str(broker_url), f"no answer within {timeout_s:g} s") from None
