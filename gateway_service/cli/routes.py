"""``gateway-service routes``."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway_service.cli.service import EXIT_CODES, Caller, for_service
from gateway_service.errors import ConfigurationError
from gateway_service.protocol.constants import Opcode
from gateway_service.protocol.guilds import guild_id_of
from gateway_service.settings import load_worker_options
from gateway_service.settings.explanation import Explanation, explain
from gateway_service.supervisor.plan import as_ranges


@click.group()
def routes() -> None:
    """Explain what [routes] does, and let a service read it again."""


@routes.command(
    epilog="""\b
Examples:
  gateway-service routes test event.json
  echo '{"t":"MESSAGE_CREATE","s":7,"d":{"guild_id":"41771983423143937"}}' | gateway-service routes test -

\b
Exit codes: 0 it is published, 1 it is dropped or sampled out, 78 the file or a route is wrong.
"""
)
@click.argument("payload", type=click.File("rb"), metavar="EVENT.JSON")
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="PATH", help="Settings in TOML.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(payload: BinaryIO, config_file: Path | None, *, as_json: bool) -> int:
    """Tell what becomes of one dispatch, and which pattern decides it.

    EVENT.JSON is a payload as Discord sends it, {"op": 0, "t": ..., "s": ..., "d": {...}}; of "d" only the guild is
    looked at. Without "s" the answer to a sample stays open. "-" reads standard input. The table is read from the TOML
    file and GATEWAY_ROUTES; no service, broker or token is needed.
    """
    table = load_worker_options(os.environ, config_file).routes
    explanation = explain(table, **_read(payload))
    click.echo(json.dumps(dataclasses.asdict(explanation), indent=2) if as_json else _as_text(explanation))
    return 1 if explanation.outcome in ("dropped", "sampled out") else 0


@routes.command(epilog=EXIT_CODES)
@for_service
def show(caller: Caller) -> int:
    """List the routes that a running service goes by, on each of its hosts."""
    answer = caller.ask("routes")
    return caller.say(answer, "\n".join(map(_host_as_text, answer["result"]["hosts"])))


@routes.command(
    name="reload",
    epilog=f"""\b
Examples:
  gateway-service routes reload          what SIGHUP does, on every host, with an answer

{EXIT_CODES}
""",
)
@for_service
def reload_(caller: Caller) -> int:
    """Let a running service read [routes] again, on each of its hosts; no shard reconnects."""
    answer = caller.ask("reload_routes")
    return caller.say(answer, "\n".join(map(_host_as_text, answer["result"]["hosts"])))


def _host_as_text(host: dict[str, Any]) -> str:
    lines = [f"{host['host']}, shards {as_ranges(host['shard_ids'])}: {len(host['routes'])} patterns"]
    for pattern, options in host["routes"].items():
        shown = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
        lines.append(f"  {pattern:<30} {shown}")
    return "\n".join(lines)


def _read(payload: BinaryIO) -> dict[str, Any]:
    """Return what the routes look at of a payload."""
    try:
        document = json.load(payload)
    except ValueError as exc:
        raise ConfigurationError(f"{payload.name}: is not JSON: {exc}") from None
    if not isinstance(document, dict) or not isinstance(document.get("t"), str):
        raise ConfigurationError(
            f'{payload.name}: must be a dispatch as Discord sends it: {{"op": 0, "t": "READY", "s": 1, "d": {{}}}}'
        )
    if document.get("op", Opcode.DISPATCH) != Opcode.DISPATCH:
        raise ConfigurationError(f"{payload.name}: has op {document['op']}, and only dispatches, op 0, have a route")
    seq = document.get("s")
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool)):
        raise ConfigurationError(f"{payload.name}: s must be a whole number, not {seq!r}")
    return {"event": document["t"], "seq": seq, "guild_id": guild_id_of(document["t"], document.get("d"))}


def _as_text(found: Explanation) -> str:
    if found.pattern is None:
        why = "no pattern of [routes] matches"
    else:
        others = ", ".join(map(repr, found.also_matching))
        why = f"{found.pattern!r}" + (f", more specific than {others}" if others else "")
    lines = [("event", found.event), ("decided by", why)]
    if found.outcome == "dropped":
        return _in_columns([*lines, ("gateway", "drops it and counts it as filtered")])
    if found.sample < 1.0:
        verdict = {None: "without s it is not known whether this one is", "published": "this one is"}
        lines.append(("sample", f"{found.sample:.4g} are published; {verdict.get(found.outcome, 'this one is not')}"))
    if found.outcome == "sampled out":
        return _in_columns([*lines, ("gateway", "leaves it out and counts it as filtered")])
    lines += [
        ("gateway", f"publishes it to gateway.events with the key {found.routing_key}"),
        ("queue", f"<group>.{found.route} in each group with a handler for {found.event}"),
    ]
    if found.lane is not None:
        lines.append(("ordered", f"<group>.{found.lane} in groups with an ordered handler for it"))
    if found.ttl_s is not None:
        lines.append(("ttl", f"handlers do not get it {found.ttl_s:g} s after it was received"))
    return _in_columns(lines)


def _in_columns(lines: list[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<11} {text}" for name, text in lines)
