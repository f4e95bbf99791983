"""amqps:// checks the broker's certificate and publishes as amqp:// does."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from gateway_service.embedded import PrivateRabbitMQ, PrivateValkey
from gateway_service.publisher import Outbox, PublisherState, make_link
from gateway_service.unrouted import unrouted_now
from gateway_service.worker.configuration import celery_settings
from tests.support.publishing import ORIGIN, KombuSubject, make_envelope, publishing
from tests.support.tls import TlsFront, make_certificate
from tests.support.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def front(certificate: tuple[Path, Path], rabbitmq: PrivateRabbitMQ) -> Iterator[TlsFront]:
    with closing(TlsFront(certificate, rabbitmq.port)) as front:
        yield front


def test_messages_go_through_tls(
    front: TlsFront, certificate: tuple[Path, Path], rabbitmq: PrivateRabbitMQ, rabbitmq_url: str
) -> None:
    subject = KombuSubject(rabbitmq_url, rabbitmq)
    subject.bind("default.events", "#")
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f"127.0.0.1:{rabbitmq.port}", f"localhost:{front.port}")
    outbox = Outbox()

    with publishing(lambda: make_link(f"{url}?ssl_ca_certs={certificate[0]}", ORIGIN), outbox):
        for seq in range(1, 3001):
            outbox.put(make_envelope(seq, raw=b'"%b"' % (b"x" * 2000)))
        wait_until(lambda: outbox.is_empty)

    assert [each.headers["seq"] for each in subject.read("default.events", 3000)] == list(range(1, 3001))


def test_workers_and_tools_check_the_certificate_as_well(
    front: TlsFront, certificate: tuple[Path, Path], rabbitmq: PrivateRabbitMQ, rabbitmq_url: str
) -> None:
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f"127.0.0.1:{rabbitmq.port}", f"localhost:{front.port}")

    assert connect(f"{url}?ssl_ca_certs={certificate[0]}")
    assert unrouted_now(f"{url}?ssl_ca_certs={certificate[0]}") == {}
    with pytest.raises(OperationalError, match="certificate"):
        connect(url)


def test_they_check_that_of_a_redis_as_well(
    certificate: tuple[Path, Path], valkey: PrivateValkey, valkey_url: str
) -> None:
    with closing(TlsFront(certificate, valkey.port)) as front:
        url = valkey_url.replace("redis://", "rediss://").replace(f"127.0.0.1:{valkey.port}", f"localhost:{front.port}")

        assert connect(f"{url}?ssl_ca_certs={certificate[0]}")
        with pytest.raises(OperationalError):
            connect(url)


def connect(broker_url: str) -> bool:
    """Connect, and once more, as a worker does."""
    app = Celery("worker", set_as_current=False)
    app.conf.update(celery_settings({"GATEWAY_BROKER_URL": broker_url}))
    with app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        connection.default_channel.close()
        connection.collect()
        return bool(connection.ensure_connection(max_retries=1, interval_start=0).connected)


def test_an_unknown_certificate_is_refused(front: TlsFront, rabbitmq_url: str, rabbitmq: PrivateRabbitMQ) -> None:
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f"127.0.0.1:{rabbitmq.port}", f"localhost:{front.port}")

    with publishing(lambda: make_link(url, ORIGIN), Outbox()) as thread:
        wait_until(lambda: thread.state is PublisherState.DOWN)

    assert thread.last_error is not None
    assert "certificate" in thread.last_error.lower()
