"""amqps:// checks the broker's certificate and publishes as amqp:// does."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest

from gateway_service.embedded import PrivateRabbitMQ
from gateway_service.publisher import Outbox, PublisherState, make_link
from tests.support.publishing import HOST, KombuSubject, make_envelope, publishing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    arguments = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=localhost"
    subprocess.run(
        [openssl, *arguments.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


class TlsFront:
    """Takes TLS connections and passes on what they carry to a port in the clear."""

    def __init__(self, certificate: tuple[Path, Path], target_port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._target_port = target_port
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                client = self._context.wrap_socket(client, server_side=True)
            except OSError:  # the other side did not like our certificate
                client.close()
                continue
            target = socket.create_connection(("127.0.0.1", self._target_port))
            self._sockets += [client, target]
            for source, sink in ((client, target), (target, client)):
                self._threads.append(Thread(target=_pump, args=(source, sink), daemon=True))
                self._threads[-1].start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


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

    with publishing(lambda: make_link(f"{url}?ssl_ca_certs={certificate[0]}", HOST), outbox):
        for seq in range(1, 3001):
            outbox.put(make_envelope(seq, raw=b'"%b"' % (b"x" * 2000)))
        wait_until(lambda: outbox.is_empty)

    assert [each.headers["seq"] for each in subject.read("default.events", 3000)] == list(range(1, 3001))


def test_an_unknown_certificate_is_refused(front: TlsFront, rabbitmq_url: str, rabbitmq: PrivateRabbitMQ) -> None:
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f"127.0.0.1:{rabbitmq.port}", f"localhost:{front.port}")

    with publishing(lambda: make_link(url, HOST), Outbox()) as thread:
        wait_until(lambda: thread.state is PublisherState.DOWN)

    assert thread.last_error is not None
    assert "certificate" in thread.last_error.lower()
