"""The types against payloads: those that the simulator builds in full, and recorded ones."""

import json
import types
import typing
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import pytest

from gateway_service import events
from gateway_service.events import EVENTS
from gateway_service.simulator import intents
from gateway_service.simulator.guilds import World
from gateway_service.simulator.payloads import GENERATED_EVENTS, Templates

ROOT = Path(__file__).parents[3]
WORLD = World(bot_id=9, guilds=2, members_per_guild=5)
# One that was recorded is of a server that leaves out more than Discord does, so only what is there is compared.
# Two of its fields are not as Discord documents them.
OF_THAT_SERVER = {
    "GUILD_CREATE.channels[].video_quality_mode: None is no <class 'int'>",
    "MESSAGE_UPDATE.author.public_flags: '0' is no <class 'int'>",
}
RECORDED = ROOT.parent / "shared" / "corpus" / "recorded.jsonl"


def faults(value: Any, wanted: Any, path: str, *, is_complete: bool) -> list[str]:
    """Return in which places ``value`` is not what a type says."""
    if wanted is Any:
        return []
    if typing.is_typeddict(wanted):
        return faults_of_object(value, wanted, path, is_complete=is_complete)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in {types.UnionType, typing.Union}:
        each = [faults(value, argument, path, is_complete=is_complete) for argument in arguments]
        return [] if [] in each else min(each, key=len)
    if origin is typing.Literal:
        return [] if value in arguments else [f"{path}: {value!r}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        inside = (faults(item, arguments[0], f"{path}[]", is_complete=is_complete) for item in value)
        return [fault for found in inside for fault in found]
    expected = (int, float) if wanted is float else (origin or wanted)
    is_wrong = not isinstance(value, expected) or (isinstance(value, bool) and wanted is not bool)
    return [f"{path}: {value!r} is no {wanted}"] if is_wrong else []


def faults_of_object(value: Any, wanted: Any, path: str, *, is_complete: bool) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    hints = get_type_hints(wanted, include_extras=True)
    found = []
    for key, hint in hints.items():
        inner = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        if key in value:
            found += faults(value[key], inner, f"{path}.{key}", is_complete=is_complete)
        elif is_complete and key in wanted.__required_keys__:
            found.append(f"{path}.{key}: is missing")
    return found


ONLY_IN_GUILDS = ("GUILD_", "VOICE_", "PRESENCE_")
PLACES = [(event, WORLD.guild_ids[0]) for event in sorted(GENERATED_EVENTS)]
PLACES += [(event, None) for event, _ in PLACES if not event.startswith(ONLY_IN_GUILDS)]


@pytest.mark.parametrize(("event", "guild_id"), PLACES)
def test_a_complete_payload_has_every_required_field(event, guild_id):
    full, _ = Templates(WORLD, seed=0, message_bytes=500).get(event, guild_id, 0)

    assert faults(json.loads(full.text(1)), EVENTS[event], event, is_complete=True) == []


def test_a_guild_has_every_required_field():
    guild = WORLD.guild_create(WORLD.guild_ids[0], intents=-1, large_threshold=50)

    assert faults(guild, EVENTS["GUILD_CREATE"], "GUILD_CREATE", is_complete=True) == []


def test_recorded_payloads_are_of_their_types():
    if not RECORDED.exists():
        pytest.skip("no recorded corpus lies beside the project")
    payloads = map(json.loads, RECORDED.read_text("utf-8").splitlines())
    found = {
        fault
        for payload in payloads
        if payload["t"] in EVENTS
        for fault in faults(payload["d"], EVENTS[payload["t"]], payload["t"], is_complete=False)
    }

    assert found <= OF_THAT_SERVER


def test_the_check_finds_what_is_wrong_and_what_is_missing():
    assert faults({"guild_id": 5, "user_id": "1", "timestamp": 1}, EVENTS["TYPING_START"], "d", is_complete=True) == [
        "d.channel_id: is missing",
        "d.guild_id: 5 is no <class 'str'>",
    ]


@pytest.mark.parametrize("event", sorted({event for event, _ in intents._INTENTS_OF}))
def test_every_event_that_an_intent_guards_has_a_type(event):
    assert event in EVENTS


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_type_is_named_after_its_event(event):
    name = "".join(word.capitalize() for word in event.split("_"))

    assert EVENTS[event].__name__ == name
    assert getattr(events, name) is EVENTS[event]
    assert (EVENTS[event].__doc__ or "").startswith(event)
