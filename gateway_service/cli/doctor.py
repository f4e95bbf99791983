"""``gateway-service doctor``."""

import asyncio
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway_service.cli.flags import setting_flags
from gateway_service.telemetry import redact

if TYPE_CHECKING:
    from gateway_service.doctor import Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


@click.command(
    epilog="""\b
Examples:
  gateway-service doctor                                      with the settings that a start would have
  gateway-service doctor --json | jq '.[] | select(.verdict == "fail")'

\b
Exit codes: 0 nothing fails, 69 something does not answer, 78 a setting or the token is wrong.
"""
)
@setting_flags
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of findings.")
def doctor(config_file: Path | None, *, as_json: bool, **flags: Any) -> int:
    """Check settings, token, broker, state and clock.

    Prints one line for each check, and with each fault its cure. No shard connects and nothing is identified; the
    broker gets the exchanges that a start declares; no file and no folder is made.
    """
    from gateway_service.doctor import examine, exit_code_of

    findings = asyncio.run(examine(flags, os.environ, config_file))
    click.echo(_as_json(findings) if as_json else "\n".join(map(_as_line, findings)))
    return exit_code_of(findings)


def _as_json(findings: "Sequence[Finding]") -> str:
    return redact(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))


def _as_line(finding: "Finding") -> str:
    verdict = click.style(f"{finding.verdict:<4}", fg=_COLOURS[finding.verdict])
    cure = f" -> {finding.cure}" if finding.cure else ""
    return f"{verdict}  {finding.check:<8}  {redact(finding.message)}{cure}"
