"""``gateway-service restart``, ``rolling-restart`` and ``drain``."""

import time
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway_service.cli.rolls import Roll, begun_in, is_rolling, left_out_of, waiting_in
from gateway_service.cli.service import EXIT_CODES, Answer, Caller, for_service
from gateway_service.errors import EX_OK, EX_REFUSED
from gateway_service.supervisor.plan import as_ranges

_POLL_S: Final = 0.5
# A host that has not answered for so long is not about to: it answers within two seconds, or its service is gone.
_SILENT_S: Final = 15.0
_WAIT_S: Final = 30.0


@click.command(
    epilog=f"""\b
Examples:
  gateway-service restart 3                    reconnect and resume: costs no identify
  gateway-service restart 3 --mode identify    end the session and begin another one
  gateway-service restart 3 --process          the whole process of shard 3

{EXIT_CODES}
"""
)
@click.argument("shard_id", type=click.IntRange(min=0))
@click.option("--mode", type=click.Choice(["resume", "identify"]), default="resume", help="Keep the session or end it.")
@click.option("--process", "whole_process", is_flag=True, help="Restart the process that runs the shard.")
@click.option("--wait", "wait_s", default=_WAIT_S, show_default=True, help="Seconds to wait until it is live again.")
@for_service
def restart(caller: Caller, *, shard_id: int, mode: str, whole_process: bool, wait_s: float) -> int:
    """Let one shard, or its whole process, start over."""
    if whole_process:
        answer = caller.ask("restart_process", shard_id=shard_id, wait_s=wait_s)
    else:
        answer = caller.ask("restart_shard", shard_id=shard_id, mode=mode, wait_s=wait_s)
    result = answer["result"]
    return caller.say(answer, f"shard {as_ranges(result['shard_ids'])}: {result['outcome']} on {answer['host']}")


@click.command(name="rolling-restart", epilog=EXIT_CODES)
@click.option("--max-resume", "max_resume_s", default=60.0, show_default=True, help="Seconds for a process to resume.")
@click.option("--every-host", is_flag=True, help="One host after the other, this one first.")
@click.option("--status", "only_looks", is_flag=True, help="Begin nothing; tell how far the last one of each host is.")
@for_service
def rolling_restart(caller: Caller, *, max_resume_s: float, every_host: bool, only_looks: bool) -> int:
    """Restart every shard process of one host, or of all, one after the other.

    The settings are read again, and a trial process without shards shows that the installed code starts with them. Each
    process publishes what it has, saves its sessions, leaves resumably and starts again; the next one follows when
    all of its shards are live. Halts when a resume fails or something was lost.
    """
    status = caller.ask("rolling_restart_status")
    if only_looks:
        return _say(caller, status)
    if every_host and status["failures"]:
        return caller.say(status, "nothing was restarted: who is silent now would end the roll halfway")
    here = status["host"]
    before = {roll["host"]: roll["began_at"] for roll in _rolls(status) if every_host or roll["host"] == here}
    begun = caller.ask("rolling_restart", max_resume_s=max_resume_s, then=sorted(before.keys() - {here}))
    answer = _followed(caller, begun, before)
    is_halted = any(roll["state"] == "halted" for roll in _rolls(answer))
    return _say(caller, answer) or (EX_REFUSED if is_halted else EX_OK)


def _followed(caller: Caller, answer: Answer, before: Mapping[str, float | None]) -> Answer:
    """Show how far a roll is until it is over; return the last answer, about these hosts and this roll alone."""
    quiet_since = inf
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=caller.console, disable=caller.as_json) as progress:
        bars = {host: progress.add_task(f"processes of {host}", total=None, start=False) for host in sorted(before)}
        while True:
            rolls = [roll for roll in _rolls(answer) if roll["host"] in before]
            for roll in begun_in(rolls, before):
                progress.start_task(bars[roll["host"]])
                progress.update(bars[roll["host"]], total=roll["processes"], completed=roll["processes_done"])
            now = time.monotonic()
            quiet_since = inf if is_rolling(rolls) else min(quiet_since, now)
            # At least a second look: who takes over may be asked just before, and who hands on just after.
            if now - quiet_since >= (_POLL_S if len(rolls) == len(before) else _SILENT_S):
                answer["result"]["hosts"] = begun_in(rolls, before)
                answer["failures"] = left_out_of(rolls, before)
                return answer
            time.sleep(_POLL_S)
            answer = caller.ask("rolling_restart_status")


def _say(caller: Caller, answer: Answer) -> int:
    rolls = _rolls(answer)
    waiting = waiting_in(rolls)
    lines = ["waits for its turn" if roll["host"] in waiting else _words(roll) for roll in rolls]
    if len(rolls) > 1 or answer["failures"]:
        lines = [f"{roll['host']}: {line}" for roll, line in zip(rolls, lines, strict=True)]
    return caller.say(answer, "\n".join(lines))


def _words(roll: Roll) -> str:
    sentence = f"identifies used: {roll['identifies_used']}, dispatches lost: {roll['dispatches_lost']}"
    if roll["changed"]:
        sentence = f"new settings: {', '.join(roll['changed'])}\n{sentence}"
    so_far = f"{roll['processes_done']} of {roll['processes']}"
    match roll["state"]:
        case "idle":
            return "no rolling restart since the start of this service"
        case "rolling":
            return f"rolling, {so_far}\n{sentence}"
        case "halted":
            return f"halted after {so_far}: {roll['reason']}\n{sentence}"
    return sentence


def _rolls(answer: Answer) -> Sequence[Roll]:
    rolls: Sequence[Roll] = answer["result"]["hosts"]
    return rolls


@click.command(epilog=EXIT_CODES)
@for_service
def drain(caller: Caller) -> int:
    """Let the service flush, keep its sessions and end."""
    answer = caller.ask("drain")
    return caller.say(answer, f"{answer['host']} drains shards {as_ranges(answer['result']['shard_ids'])} and ends")
