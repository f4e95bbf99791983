"""TLS in front of a server that speaks in the clear."""

import shutil
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a self-signed certificate for localhost, with its key; skip the test where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
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
