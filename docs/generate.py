"""Write the pages of docs/ that are generated from the code: ``python -m docs.generate [--check]``."""  # noqa: INP001

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs import chart, reference
from gateway_service.protocol.states import STATE_MEANINGS, TRANSITIONS, TRIGGER_MEANINGS, State, Trigger

DOCS: Final = Path(__file__).parent


def state_machine() -> str:
    """Return the page about the states of a shard."""
    arrows: dict[tuple[State, State], list[Trigger]] = {}
    for (before, trigger), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(trigger)
    return reference.page(
        "# The states of a shard",
        "",
        "One shard goes through these states, over many connections. The table in",
        "`gateway_service/protocol/states.py` is the law; this page is drawn from it.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {State.IDLE}",
        *(f"    {before} --> {after}: {', '.join(triggers)}" for (before, after), triggers in arrows.items()),
        "```",
        "",
        "| state | meaning | leaves on |",
        "|---|---|---|",
        *(f"| `{state}` | {meaning} | {_ways_out(state)} |" for state, meaning in STATE_MEANINGS.items()),
        "",
        "| trigger | meaning |",
        "|---|---|",
        *(f"| {trigger} | {meaning} |" for trigger, meaning in TRIGGER_MEANINGS.items()),
    )


def _ways_out(state: State) -> str:
    return ", ".join(f"{trigger} → `{after}`" for (before, trigger), after in TRANSITIONS.items() if before is state)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "exit-codes.md": reference.exit_codes,
    "log-events.md": reference.log_events,
    "metrics.md": reference.metrics,
    "settings.md": reference.settings,
    "state-machine.md": state_machine,
    "../deploy/helm/gateway-service/settings.json": chart.settings,
}
"""Every generated page: its path from docs/ and what renders it."""


def outdated() -> list[str]:
    """Return the pages whose file differs from what the code says now."""
    return [name for name, render in PAGES.items() if _read(DOCS / name) != render()]


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def main(arguments: list[str]) -> int:
    """Write the outdated pages, or with ``--check`` only name them; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m docs.generate [--check]\n")
        return 2
    names = outdated()
    for name in names:
        if arguments:
            sys.stderr.write(f"docs/{name} is not what the code says; run python -m docs.generate\n")
        else:
            (DOCS / name).write_text(PAGES[name](), "utf-8")
            sys.stdout.write(f"wrote docs/{name}\n")
    return 1 if arguments and names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
