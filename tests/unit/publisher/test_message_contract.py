"""docs/message-contract.md shows what is really sent."""

import json
import re
from pathlib import Path

from gateway_service.publisher.envelope import Origin, headers_of
from tests.support.publishing import make_envelope

DOCUMENT = Path(__file__).parents[3] / "docs" / "message-contract.md"
ENVELOPE = make_envelope(4711, session="9c1185a5c5e9fc54", received_at=1767225600.125, raw=b'{"id":"1","content":"hi"}')
ORIGIN = Origin(bot_id="155149108183695360", host="gateway-0")


def json_blocks() -> list[str]:
    return re.findall(r"```json\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)


def test_the_example_headers_are_the_real_ones() -> None:
    assert json.loads(json_blocks()[0]) == headers_of(ENVELOPE, ORIGIN)


def test_the_example_body_is_the_real_one() -> None:
    assert json_blocks()[1].encode() == ENVELOPE.body


def test_every_header_is_explained() -> None:
    table = DOCUMENT.read_text().partition("## Headers")[2].partition("##")[0]

    assert [name for name in headers_of(ENVELOPE, ORIGIN) if f"`{name}`" not in table] == []
