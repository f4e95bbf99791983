"""Turn what people write into values. A refusal is a sentence that continues after the setting's name."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from pydantic import SecretStr

from gateway_service.protocol.constants import ALL_INTENTS, PRIVILEGED_INTENTS, UNPRIVILEGED_INTENTS, Intents

Presence = Mapping[str, Any]
PresenceSource = Presence | Callable[[int], Presence | None] | str

# Far beyond the largest bots: a mistyped number must not fill the memory.
MAX_SHARD_COUNT: Final = 100_000
# Discord's has five levels. A shard process would not read a message of two hundred, and end.
MAX_PRESENCE_LEVELS: Final = 16
# Bits that Discord may give a meaning tomorrow are allowed, what its 53-bit JSON integers cannot hold is not.
_MAX_INTENTS: Final = 2**53 - 1

_PRESENCE_KEYS: Final = ("activities", "afk", "since", "status")
_STATUSES: Final = ("online", "dnd", "idle", "invisible", "offline")
_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_IMPORT_PATH: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class BadValue(ValueError):
    """A value is refused; pydantic collects it with the others because it is a ValueError."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` is most likely a mistyped form of."""
    by_folded = {word.casefold(): word for word in known}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` when something known is close to ``name``, else nothing."""
    close = closest(name, known)
    return f"; did you mean {close!r}?" if close else ""


def choice(value: object, *allowed: str) -> str:
    if isinstance(value, str) and value.strip().lower() in allowed:
        return value.strip().lower()
    one_of = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
    raise BadValue(f"must be {one_of}, not {value!r}{did_you_mean(str(value), allowed)}")


def whole_number(value: object, *, at_least: int, at_most: int) -> int:
    number = _as_int(value)
    if number is None:
        raise BadValue(f"must be a whole number, not {value!r}")
    if not at_least <= number <= at_most:
        raise BadValue(f"must be from {at_least} to {at_most}, not {number}")
    return number


_UNITS: Final = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


def byte_count(value: object, *, at_least: int = 0) -> int:
    """Read a number of bytes, plain or with a unit: ``64MiB``."""
    found = re.fullmatch(r"\s*([0-9]{1,15})\s*([A-Za-z]*)\s*", str(value), re.ASCII)
    if found is None or isinstance(value, bool) or found[2].lower() not in _UNITS:
        raise BadValue(f"must be a number of bytes such as 64MiB (KiB, MiB, GiB), not {value!r}")
    number = int(found[1]) * _UNITS[found[2].lower()]
    if number < at_least:
        raise BadValue(f"must be {at_least} bytes or more, not {number}")
    return number


def parse_yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    folded = choice(value, "yes", "no", "true", "false", "1", "0")
    return folded in {"yes", "true", "1"}


def parse_token(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text is None or text == "":
        raise BadValue("is not set; it is the bot token shown under Bot in the developer portal")
    if not isinstance(text, str):
        raise BadValue("must be a text")
    token = text.removeprefix("Bot ")
    if re.search(r"\s", token):
        raise BadValue("has white space or a line break in it; give the token alone")
    if re.search(r"[\"'`]", token):
        raise BadValue("has a quotation mark in it; give the token alone")
    if not re.fullmatch(r"[\w.~+/=-]+", token, re.ASCII):
        raise BadValue("has a character in it that no bot token has; copy it again")
    return SecretStr(token)


def parse_shard_count(value: object) -> int | Literal["auto"]:
    if isinstance(value, str) and value.strip().lower() == "auto":
        return "auto"
    if _as_int(value) is None:
        raise BadValue(f"must be a whole number or 'auto', not {value!r}")
    return whole_number(value, at_least=1, at_most=MAX_SHARD_COUNT)


def parse_shards(value: object, shard_count: int | Literal["auto"]) -> tuple[int, ...] | None:
    """Read ``"0-3,8,9"``, a number, a range, or a sequence of these; None and ``"all"`` mean every shard."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "all"):
        return None
    shard_ids = sorted(set(_shard_ids(value)))
    if not shard_ids:
        raise BadValue("names no shard; leave it out for all of them")
    if shard_count != "auto" and shard_ids[-1] >= shard_count:
        raise BadValue(
            f"names shard {shard_ids[-1]}, but the shard count is {shard_count}: ids go from 0 to {shard_count - 1}"
        )
    return tuple(shard_ids)


def _shard_ids(value: object) -> Iterable[int]:
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        for part in parts:
            yield from _shard_range(part)
    elif isinstance(value, range):
        yield from _checked_range(value, value)
    elif (number := _as_int(value)) is not None:
        yield from _checked_range(range(number, number + 1), number)
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        for item in value:
            yield from _shard_ids(item)
    else:
        raise BadValue(f"must be shard ids such as '0-3,8,9', not {value!r}")


def _shard_range(text: str) -> range:
    found = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", text, re.ASCII)
    if found is None:
        raise BadValue(f"must be shard ids such as '0-3,8,9'; {text!r} is neither a number nor a range")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise BadValue(f"has a range that ends before it begins, {text!r}; write '{last}-{first}'")
    return _checked_range(range(first, last + 1), text)


def _checked_range(shard_ids: range, shown: object) -> range:
    if shard_ids and not (min(shard_ids[0], shard_ids[-1]) >= 0 and max(shard_ids[0], shard_ids[-1]) < MAX_SHARD_COUNT):
        raise BadValue(f"has a shard id outside 0 to {MAX_SHARD_COUNT - 1}: {shown}")
    return shard_ids


def parse_processes(value: object) -> int | None:
    return None if value is None else whole_number(value, at_least=1, at_most=MAX_SHARD_COUNT)


_INTENT_GROUPS: Final = {
    "ALL": ALL_INTENTS,
    "PRIVILEGED": PRIVILEGED_INTENTS,
    "UNPRIVILEGED": UNPRIVILEGED_INTENTS,
    "NONE": Intents(0),
}


def parse_intents(value: object) -> Intents:
    """Read a number, one text of names, or a sequence of names."""
    number = _as_int(value)
    if number is not None:
        if not 0 <= number <= _MAX_INTENTS:
            raise BadValue(f"must be a number of intent bits, not {number}")
        return Intents(number)
    if isinstance(value, str):
        names = [name for name in re.split(r"[,|\s]+", value) if name]
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        names = [str(name) for name in value]
    else:
        raise BadValue(f"must be names of intents or a number, not {value!r}")
    intents, unknown = Intents(0), []
    for name in names:
        known = _INTENT_GROUPS.get(name.upper(), Intents.__members__.get(name.upper()))
        if known is None:
            unknown.append(f"{name!r} is not an intent{did_you_mean(name, [*Intents.__members__, *_INTENT_GROUPS])}")
        else:
            intents |= known
    if unknown or not names:
        raise BadValue("; ".join(unknown) or "names no intent; write NONE for none")
    return intents


def parse_presence(value: object) -> PresenceSource | None:
    """Read a mapping or its JSON; a function and an import path come back as they are."""
    if value is None or callable(value):
        return value
    if isinstance(value, Mapping):
        return checked_presence(value)
    if not isinstance(value, str):
        raise BadValue(f"must be a JSON object or an import path such as 'pkg.mod:function', not {value!r}")
    text = value.strip()
    if not text.startswith(("{", "[", '"')):
        if _IMPORT_PATH.fullmatch(text):
            return text
        raise BadValue(f"must be a JSON object or an import path such as 'pkg.mod:function', not {value!r}")
    try:
        return checked_presence(json.loads(text))
    except json.JSONDecodeError as exc:
        raise BadValue(f"is not JSON: {exc.msg} at character {exc.pos + 1}") from None


def checked_presence(presence: object) -> dict[str, Any]:
    """Return plain JSON values; refuse what Discord would answer with a close code. What it leaves open stays open."""
    if not isinstance(presence, Mapping):
        raise BadValue('must be a JSON object such as {"status": "idle"}')
    for key in presence:
        if key not in _PRESENCE_KEYS:
            raise BadValue(f"has an unknown key {key!r}{did_you_mean(str(key), _PRESENCE_KEYS)}")
    status = presence.get("status", "online")
    if status not in _STATUSES:
        raise BadValue(f"has an unknown status {status!r}{did_you_mean(str(status), _STATUSES)}")
    activities = presence.get("activities", [])
    if not isinstance(activities, list | tuple) or not all(isinstance(activity, Mapping) for activity in activities):
        raise BadValue("has activities that are not a list of objects")
    try:
        plain: dict[str, Any] = orjson.loads(orjson.dumps(dict(presence)))
    except (TypeError, RecursionError) as exc:
        raise BadValue(f"is not JSON: {exc}") from None
    if _levels(plain) > MAX_PRESENCE_LEVELS:
        raise BadValue(f"is nested more than {MAX_PRESENCE_LEVELS} levels deep")
    if not _is_finite(presence):  # orjson writes null for it, and json what is no JSON
        raise BadValue("has a number that is not finite (NaN or Infinity), which JSON does not know")
    return plain


def _levels(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_levels, inner), default=0)


def _is_finite(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def parse_tasks(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        modules = [name.strip() for name in value.split(",") if name.strip()]
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        modules = [str(name) for name in value]
    else:
        raise BadValue(f"must be names of modules, not {value!r}")
    if not modules:
        raise BadValue("names no module")
    for module in modules:
        if not _MODULE.fullmatch(module):
            raise BadValue(f"{module!r} is not the name of a module such as 'my_bot.tasks'")
    return tuple(modules)


def parse_path(value: object) -> Path | None:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"must be the path of a file, not {value!r}")
    return Path(value)


def _as_int(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value, re.ASCII):
        return int(value)
    return None
