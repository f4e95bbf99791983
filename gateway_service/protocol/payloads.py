"""Payloads from Discord: the ``{t, s, op, d}`` envelope, taken apart without changing a byte of ``d``."""

import json
import re
from typing import Any, Final, TypedDict

import msgspec
import orjson

from gateway_service.errors import RemoteProtocolError
from gateway_service.protocol.constants import MAX_SEQ

Payload = tuple[int, str | None, int | None, Any, bytes]
"""``(op, t, s, d, raw)``: raw is the exact JSON text of ``d`` of a dispatch, and empty otherwise.

A plain tuple, because one is made for every dispatch. ``t`` and ``s`` are None unless they are a name and a
positive number of at most MAX_SEQ. ``d`` of a dispatch may lack every member that is not in :class:`_Looked`.
"""


class _Looked(TypedDict, total=False):
    """The members of a dispatch's ``d`` at which the gateway looks. All others are checked and skipped.

    Most of the cost of decoding is making objects; whoever wants all of ``d`` decodes ``raw``.
    """

    guild_id: Any
    guilds: Any
    id: Any
    meta: Any
    resume_gateway_url: Any
    session_id: Any
    unavailable: Any


_look = msgspec.json.Decoder(_Looked).decode
_loads = orjson.loads
# How Discord writes a dispatch. If what follows, up to the closing brace, is one JSON value, then it is `d`,
# and the payload has no other member: this decides it without a second look at the envelope.
_usual_head = re.compile(rb'\{"t":"([A-Za-z0-9_]{1,100})","s":([1-9][0-9]{0,17}),"op":0,"d":').match
_whitespace = re.compile(r"[ \t\n\r]*").match
_DISPATCH: Final = 0
_CLOSING_BRACE: Final = ord("}")


def decode(text: bytes) -> Payload:
    """Take one payload apart.

    Raises:
        RemoteProtocolError: ``text`` is not a JSON object with an integer ``op``.
    """
    head = _usual_head(text)
    if head is not None and text[-1] == _CLOSING_BRACE:
        raw = text[head.end() : -1]
        try:
            if not raw.isascii():
                raw.decode()  # what is skipped is not checked to be UTF-8
            data = _look(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Not an object, or one of the rarities that only the other decoders know, or not JSON.
            return _decode_unusual(text)
        event, seq = head.groups()
        return _DISPATCH, event.decode(), int(seq), data, raw
    return _decode_unusual(text)


def _decode_unusual(text: bytes) -> Payload:
    """Take apart anything else: other opcodes, other key orders, and texts that orjson refuses."""
    try:
        payload = _loads(text)
    except orjson.JSONDecodeError:
        # Lone surrogates, numbers beyond a double: allowed by RFC 8259, known to the standard library.
        return _decode_exactly(text)
    if type(payload) is not dict:
        raise RemoteProtocolError("a payload that is not an object")
    op = payload.get("op")
    if type(op) is not int:
        raise RemoteProtocolError("a payload without an opcode")
    if op == _DISPATCH:
        return _decode_exactly(text)
    return op, None, None, payload.get("d"), b""


def _decode_exactly(text: bytes) -> Payload:
    try:
        members, spans = _members(text.decode())
    except (ValueError, RecursionError, IndexError):
        raise RemoteProtocolError("a payload that is not JSON") from None
    op, event, seq = members.get("op"), members.get("t"), members.get("s")
    if type(op) is not int:
        raise RemoteProtocolError("a payload without an opcode")
    return (
        op,
        event if type(event) is str else None,
        seq if type(seq) is int and 0 < seq <= MAX_SEQ else None,
        members.get("d"),
        spans.get("d", "null").encode("utf-8"),
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decode_value = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode


def _members(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the members of a JSON object, decoded and as they are written; the last of equal names wins.

    Raises:
        ValueError: ``text`` is not a JSON object.
        IndexError: It ends too early.
    """
    members: dict[str, Any] = {}
    spans: dict[str, str] = {}
    position = _skip(text, 0)
    separator = "{"
    while text[position] == separator:
        position = _skip(text, position + 1)
        name, position = _decode_value(text, position)
        position = _skip(text, position)
        if type(name) is not str or text[position] != ":":
            raise ValueError("not a member")
        start = _skip(text, position + 1)
        members[name], end = _decode_value(text, start)
        spans[name] = text[start:end]
        position = _skip(text, end)
        separator = ","
    if text[position] != "}" or _skip(text, position + 1) != len(text):
        raise ValueError("not an object")
    return members, spans


def _skip(text: str, position: int) -> int:
    found = _whitespace(text, position)
    return found.end() if found is not None else position
