"""``gateway-service simulate``: a Discord on loopback for bots in any language."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_service.waiting import is_set_within

if TYPE_CHECKING:
    from gateway_service.simulator.scenario import Scenario
    from gateway_service.simulator.simulator import Simulator


@click.command()
@click.option("--guilds", default=200, show_default=True, help="Virtual guilds.")
@click.option("--members", default=5, show_default=True, help="Members per guild besides the bot.")
@click.option("--shards", default=1, show_default=True, help="Recommended shard count; clients may use another.")
@click.option("--rate", type=float, default=0, show_default=True, help="Dispatches per second over all shards.")
@click.option("--total", type=int, help="Stop dispatching after this many; endless by default.")
@click.option(
    "--mix",
    type=click.Choice(["messages", "busy"]),
    default="messages",
    show_default=True,
    help="Only MESSAGE_CREATE, or what a busy community sends.",
)
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Play DIR/*.jsonl too.")
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play the faults of this YAML file.",
)
@click.option("--max-concurrency", default=1, show_default=True, help="Shards that may identify at once.")
@click.option(
    "--compression-level", type=click.IntRange(1, 9), help="zlib or zstd level, as the client's compress asks for."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--resume-host", default="localhost", show_default=True, help="Host name in resume_gateway_url.")
@click.option("--port", default=0, help="Port of the REST API; a free one by default.")
@click.option("--gateway-port", default=0, help="Port of the gateway; a free one by default.")
@click.option("--control", is_flag=True, help="Accept faults and dispatches at /_sim.")
@click.option("--transcript", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it here.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same content.")
@click.option("--seconds", type=float, help="Stop after this long; otherwise on Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the start and one at the end.")
def simulate(**options: Any) -> None:
    """Run a Discord double on loopback and print where to connect."""
    from gateway_service.simulator.config import SimulatorConfig
    from gateway_service.simulator.scenario import Scenario

    try:
        scenario = Scenario(()) if options["scenario"] is None else Scenario.load(options["scenario"])
        config = SimulatorConfig(
            guilds=options["guilds"],
            members_per_guild=options["members"],
            shards=options["shards"],
            max_concurrency=options["max_concurrency"],
            compression_level=options["compression_level"],
            host=options["host"],
            resume_host=options["resume_host"],
            port=options["port"],
            gateway_port=options["gateway_port"],
            control=options["control"],
            seed=options["seed"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    asyncio.run(_run(config, scenario, options))


async def _run(config: Any, scenario: "Scenario", options: dict[str, Any]) -> None:
    from gateway_service.simulator.simulator import Simulator

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with Simulator(config) as sim:
            _announce(sim, as_json=options["as_json"])
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(_feed(sim, options), name="simulator-feed")
                playing = tasks.create_task(scenario.play(sim), name="simulator-scenario")
                await is_set_within(stop, options["seconds"])
                feeding.cancel()
                playing.cancel()
            _conclude(sim, options)
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error}") from error


async def _feed(sim: "Simulator", options: dict[str, Any]) -> None:
    """Play the corpus once shard 0 is there, then start the traffic."""
    from gateway_service.simulator.traffic import MIXES

    if options["corpus"] is not None:
        await sim.wait_for_shards([0], timeout_s=float("inf"))
        sim.corpus(options["corpus"])
    if options["rate"] > 0:
        sim.start_traffic(options["rate"], options["total"], mix=MIXES[options["mix"]])


def _announce(sim: "Simulator", *, as_json: bool) -> None:
    where = {
        "api_url": sim.api_url,
        "gateway_url": sim.gateway_url,
        "resume_gateway_url": sim.resume_gateway_url,
        "token": sim.token,
    }
    if as_json:
        click.echo(json.dumps(where))
    else:
        click.echo("A Discord double is running; nothing here is a real secret.")
        click.echo(f"  export GATEWAY_API_URL={sim.api_url}")
        click.echo(f"  export DISCORD_TOKEN={sim.token}")
        click.echo(f"  gateway {sim.gateway_url}, resume {sim.resume_gateway_url}; Ctrl-C stops")
    sys.stdout.flush()


def _conclude(sim: "Simulator", options: dict[str, Any]) -> None:
    if options["transcript"] is not None:
        with options["transcript"].open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record.to_json()) + "\n" for record in sim.transcript)
    totals = {"sent": sim.sent.total, "by_event": dict(sim.sent.by_event), "sessions": len(sim.sent_ranges())}
    if options["as_json"]:
        click.echo(json.dumps(totals))
    else:
        click.echo(f"sent {totals['sent']} dispatches in {totals['sessions']} sessions")
