"""Dispatches that arrive broken, or written as Discord never writes them but may."""

from typing import assert_never

from gateway_service.simulator.faults import Garble
from gateway_service.simulator.sessions import Session
from gateway_service.simulator.wire import Encoder

Message = tuple[bytes | list[bytes], bool]
"""One WebSocket message, or the fragments of one, and whether it is text."""

_FRAGMENTS = 3


def garbled(garble: Garble, session: Session, seq: int, encoder: Encoder) -> Message:
    """Return the message of one dispatch, as ``garble`` wants it."""
    text = session.text(seq)
    match garble.how:
        case "truncated":
            message = encoder.encode(text)
            return message[: len(message) // 2], encoder.is_text
        case "corrupt":
            message = encoder.encode(text)
            middle = len(message) // 2
            return message[:middle] + bytes(255 - byte for byte in message[middle:]), False
        case "plain":
            return text, True
        case "ended":
            return encoder.encode(text) + encoder.end(), encoder.is_text
        case "invalid-utf8":
            # Valid JSON but for one string that is no UTF-8.
            return encoder.encode(text[:-1] + b',"_":"\xff\xfe"}'), encoder.is_text
        case "fragmented":
            message = encoder.encode(text)
            size = len(message) // _FRAGMENTS + 1
            return [message[start : start + size] for start in range(0, len(message), size)], encoder.is_text
        case "reordered":
            event = session.entry(seq).event.encode()
            body = session.entry(seq).body
            return encoder.encode(b'{ "d" : %b , "op":0, "s" : %d,"t":"%b" }' % (body, seq, event)), encoder.is_text
        case "bomb":
            return encoder.encode(text[:-1] + b" " * garble.size_bytes + b"}"), encoder.is_text
        case _:
            assert_never(garble.how)
