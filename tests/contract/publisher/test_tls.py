"""amqps:// checks the broker's certificate and publishes as amqp:// does."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.publisher import Outbox, PublisherState, make_link
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


def test_an_unknown_certificate_is_refused(front: TlsFront, rabbitmq_url: str, rabbitmq: PrivateRabbitMQ) -> None:
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f"127.0.0.1:{rabbitmq.port}", f"localhost:{front.port}")

    with publishing(lambda: make_link(url, ORIGIN), Outbox()) as thread:
        wait_until(lambda: thread.state is PublisherState.DOWN)

    assert thread.last_error is not None
    assert "certificate" in thread.last_error.lower()
