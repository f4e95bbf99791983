"""``gateway-service restart``, ``rolling-restart`` and ``drain``."""

import time
from typing import Any, Final

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway_service.cli.service import EXIT_CODES, Answer, Caller, for_service
from gateway_service.errors import EX_OK, EX_REFUSED
from gateway_service.supervisor.plan import as_ranges

_POLL_S: Final = 0.5
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
@click.option("--status", "only_looks", is_flag=True, help="Begin nothing; tell how far the last one is.")
@for_service
def rolling_restart(caller: Caller, *, max_resume_s: float, only_looks: bool) -> int:
    """Restart every shard process of one host, one after the other.

    Other hosts go on as they are: for a whole bot, run it for each of them in turn (--control-address).

    The settings are read again, and a trial process without shards shows that the installed code starts with them. Each
    process publishes what it has, saves its sessions, leaves resumably and starts again; the next one follows when
    all of its shards are live. Halts when a resume fails or something was lost.
    """
    if only_looks:
        return _say(caller, caller.ask("rolling_restart_status"))
    answer = caller.ask("rolling_restart", max_resume_s=max_resume_s)
    failures = answer["failures"]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=caller.console, disable=caller.as_json) as progress:
        task = progress.add_task("processes", total=_roll(answer)["processes"])
        while _roll(answer)["state"] == "rolling":
            time.sleep(_POLL_S)
            answer = caller.ask("rolling_restart_status")
            progress.update(task, completed=_roll(answer)["processes_done"])
    answer["failures"] = failures
    return _say(caller, answer) or (EX_REFUSED if _roll(answer)["state"] == "halted" else EX_OK)


def _say(caller: Caller, answer: Answer) -> int:
    roll = _roll(answer)
    sentence = f"identifies used: {roll['identifies_used']}, dispatches lost: {roll['dispatches_lost']}"
    if roll["changed"]:
        sentence = f"new settings: {', '.join(roll['changed'])}\n{sentence}"
    so_far = f"{roll['processes_done']} of {roll['processes']}"
    match roll["state"]:
        case "idle":
            sentence = "no rolling restart since the start of this service"
        case "rolling":
            sentence = f"rolling, {so_far}\n{sentence}"
        case "halted":
            sentence = f"halted after {so_far}: {roll['reason']}\n{sentence}"
    return caller.say(answer, sentence)


def _roll(answer: Answer) -> dict[str, Any]:
    roll: dict[str, Any] = answer["result"]["hosts"][0]
    return roll


@click.command(epilog=EXIT_CODES)
@for_service
def drain(caller: Caller) -> int:
    """Let the service flush, keep its sessions and end."""
    answer = caller.ask("drain")
    return caller.say(answer, f"{answer['host']} drains shards {as_ranges(answer['result']['shard_ids'])} and ends")
