"""Makes dispatches that real traffic can contain and naive code breaks on. Run it to rewrite ``dispatches.jsonl``.

``dispatches.jsonl`` is committed; :func:`write` adds the one line too large for that.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GUILD_IDS = [str((1_000_000 + number) << 22) for number in range(8)]
GUILD = GUILD_IDS[0]
LARGE_CONTENT_BYTES = 400_000
NESTING = 200

TEXTS = [
    "plain ASCII",
    "zażółć gęślą jaźń, ÆØÅ, naïve café",
    "Здравствуйте, 你好, こんにちは, שלום, مرحبا",
    "emoji 😀 👨‍👩‍👧‍👦 🏳️‍🌈 and flags 🇵🇱🇺🇦",
    "combining e\u0301 a\u0308, zero width \u200b\u200d\ufeff, right to left \u202e",
    "line ends \r \n \u0085 \u2028 \u2029 and tab \t",
    "controls \u0000 \u0001 \u001b \u007f",
    'quotes " \\ / and what looks like JSON: }{][,:"d":',
    "x" * 2000,
    "",
]
INTEGERS = [
    0,
    -1,
    2**31,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64 - 1,
    2**64,
    10**30,
    123456789012345678901234567890,
]
FLOATS = [0.1, -0.0, 1e308, 5e-324, 1e22, 12.5]
ODD_EVENTS = [
    "BRAND_NEW_EVENT",
    "lower_case",
    "WITH SPACE",
    "WITH.DOT.AND.#.AND.*",
    "../PATH/../UP",
    'QUOTE"BACKSLASH\\',
    "ZAŻÓŁĆ_😀",
    "LONG_" + "A" * 600,
    "CELERY.BACKEND_CLEANUP",
    "0",
    "-",
    "",
]
KOMBU_LIKE = [
    {"__type__": "datetime", "__value__": "x"},
    {"__type__": "uuid", "__value__": {"hex": "not a uuid"}},
    {"__type__": "bytes", "__value__": "not base64"},
    {"__type__": 7, "__value__": None},
    {"nested": [{"__type__": "decimal", "__value__": "NaN"}]},
    {"args": [1], "kwargs": {"a": 1}, "callbacks": None, "errbacks": None, "chain": None, "chord": None},
    {"__proto__": {"polluted": True}, "constructor": "x", "self": 1, "dispatch": 2},
]


def message(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str((2_000_000 + number) << 22),
        "channel_id": str(int(GUILD_IDS[number % 8]) + 1),
        "guild_id": GUILD_IDS[number % 8],
        "author": {"id": str((500_000 + number) << 22), "username": f"author-{number}", "bot": False},
        "content": f"message {number}",
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "mentions": [],
        "attachments": [],
    } | fields


def nested(depth: int) -> Any:
    value: Any = "the bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"d": value}
    return value


def dispatches() -> Iterator[tuple[str, Any]]:
    """Yield event and ``d`` of everything but the large one."""
    yield from (("MESSAGE_CREATE", message(number)) for number in range(40))
    yield from (("MESSAGE_CREATE", message(number, content=text)) for number, text in enumerate(TEXTS))
    yield from ((event, {"guild_id": GUILD, "about": "odd event name"}) for event in ODD_EVENTS)
    yield from (("MESSAGE_UPDATE", message(number, n=value)) for number, value in enumerate([*INTEGERS, *FLOATS]))
    yield from (("MESSAGE_CREATE", message(number) | value) for number, value in enumerate(KOMBU_LIKE))
    yield from (("GUILD_UPDATE", {"id": GUILD, "value": value}) for value in KOMBU_LIKE)
    # d that is not an object, or an empty one
    yield from (("ODD_DATA", value) for value in (None, [], {}, "", "text", 0, 7, True, False, [1, "2", None, {}], 1.5))
    # which guild?
    yield "MESSAGE_CREATE", {"content": "no guild: a direct message"}
    yield "MESSAGE_CREATE", {"guild_id": None, "content": "null guild"}
    yield "MESSAGE_CREATE", {"guild_id": int(GUILD), "content": "integer guild"}
    yield "MESSAGE_CREATE", {"guild_id": "not a number", "content": "guild that is no snowflake"}
    yield "MESSAGE_CREATE", {"guild_id": True, "content": "boolean guild"}
    yield "MESSAGE_CREATE", {"message_reference": {"guild_id": GUILD_IDS[1]}, "guild_id": GUILD, "content": "nested"}
    yield "MESSAGE_CREATE", {"referenced_message": {"guild_id": GUILD_IDS[2]}, "content": "only nested"}
    yield "GUILD_CREATE", {"id": GUILD, "unavailable": True}
    yield "GUILD_DELETE", {"id": GUILD, "unavailable": True}
    yield "GUILD_CREATE", {"id": GUILD, "unavailable": False, "name": "back again"}
    yield "GUILD_DELETE", {"id": GUILD}
    yield "VOICE_CHANNEL_STATUS_UPDATE", {"id": str(int(GUILD) + 2), "guild_id": GUILD, "status": None}
    yield "ENTITLEMENT_CREATE", {"id": "1", "guild_id": GUILD_IDS[1]}
    yield "RATE_LIMITED", {"opcode": 8, "retry_after": 12.5, "meta": {"guild_id": GUILD, "nonce": "n"}}
    # Discord does not validate presences
    yield "PRESENCE_UPDATE", {"user": {"id": "5"}, "guild_id": GUILD, "status": 17, "activities": "no list"}
    yield "PRESENCE_UPDATE", {"user": {}, "guild_id": GUILD, "client_status": None, "activities": [None, 3]}
    yield "CHANNEL_UPDATE", {"id": "1", "guild_id": GUILD, "name": "___hidden___", "flags": 131072}
    yield "MESSAGE_CREATE", {"guild_id": GUILD, "content": "deep", "deep": nested(NESTING)}
    yield "MESSAGE_CREATE", {"guild_id": GUILD, "content": "wide", **{f"key-{n}": n for n in range(500)}}


def large_dispatch() -> tuple[str, Any]:
    unit = "żółw 😀 "
    return "MESSAGE_CREATE", {"guild_id": GUILD, "content": unit * (LARGE_CONTENT_BYTES // len(unit.encode()))}


def line(seq: int, event: str, data: Any) -> str:
    """Return one line; odd lines escape what is not ASCII, even ones have spaces and another key order."""
    if seq % 2:
        return json.dumps({"t": event, "s": seq, "op": 0, "d": data}, separators=(",", ":"))
    return json.dumps({"op": 0, "t": event, "d": data, "s": seq}, ensure_ascii=False)


def committed_text() -> str:
    return "".join(line(seq, event, data) + "\n" for seq, (event, data) in enumerate(dispatches(), start=1))


def write(directory: Path) -> Path:
    """Write everything, the large dispatch too, and return ``directory``."""
    (directory / "dispatches.jsonl").write_bytes(committed_text().encode())
    (directory / "large.jsonl").write_bytes((line(1, *large_dispatch()) + "\n").encode())
    return directory


if __name__ == "__main__":
    (HERE / "dispatches.jsonl").write_bytes(committed_text().encode())
