"""Playing the cases: those of one shard beside one another in a fast loop, then those of whole processes in turn."""

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway_service.conformance.case import Case
from gateway_service.conformance.cases_connection import CASES as OF_CONNECTIONS
from gateway_service.conformance.cases_traffic import CASES as OF_TRAFFIC
from gateway_service.conformance.loop import FastLoop
from gateway_service.conformance.service import CASES as OF_THE_SERVICE
from gateway_service.conformance.service import ServiceCase

AnyCase = Case | ServiceCase
CASES: Final[tuple[AnyCase, ...]] = (*OF_CONNECTIONS, *OF_TRAFFIC, *OF_THE_SERVICE)
_AT_ONCE: Final = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    fault: str
    case: str
    expected: str
    seen: str

    @property
    def ok(self) -> bool:
        return self.expected == self.seen


def run(cases: Sequence[AnyCase]) -> list[Row]:
    """Play ``cases`` and return their rows, in the same order."""
    of_shards = [case for case in cases if isinstance(case, Case)]
    of_processes = [case for case in cases if isinstance(case, ServiceCase)]
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        rows = runner.run(_play_all(of_shards, at_once=_AT_ONCE))
    rows |= asyncio.run(_play_all(of_processes, at_once=1))
    return [rows[case.fault, case.name] for case in cases]


async def _play_all(cases: Sequence[AnyCase], *, at_once: int) -> dict[tuple[str, str], Row]:
    turns = asyncio.Semaphore(at_once)

    async def play(case: AnyCase) -> Row:
        async with turns:
            try:
                seen = str(await case.play())
            except Exception as error:  # noqa: BLE001 - a case that breaks is a row that does not hold
                seen = "".join(traceback.format_exception_only(error)).strip()
        return Row(case.fault, case.name, str(case.expected), seen)

    async with asyncio.TaskGroup() as tasks:
        played = [tasks.create_task(play(case), name=f"conformance-{case.fault}-{case.name}") for case in cases]
    return {(row.fault, row.case): row for row in (task.result() for task in played)}
