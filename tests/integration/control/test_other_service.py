"""What a command says when another program answers at the address of the control API."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from gateway_service.control.client import ControlClient, NoServiceAnswers
from gateway_service.control.operations import OPERATIONS
from gateway_service.settings import Address, ControlOptions


@pytest.mark.parametrize(("status", "body"), [(200, b"[]"), (200, b"{}"), (404, b"[]"), (404, b'{"error": "none"}')])
def test_the_answer_of_another_program_is_told_as_such(status, body):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        options = ControlOptions(control_address=Address("127.0.0.1", server.server_port))
        with (
            ControlClient(options) as client,
            pytest.raises(NoServiceAnswers, match=f"HTTP {status} that is no answer"),
        ):
            client.perform(OPERATIONS["shards"], {})
        answering.join()
