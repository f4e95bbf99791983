"""The owner of the identify permits of one supervisor: grants them in the pace and the budget of the whole bot."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from math import inf
from typing import Any, Final

from gateway_service.errors import GatewayServiceError
from gateway_service.protocol.budget import WAIT_MEANINGS, Grant, IdentifyBudget, Wait, WaitReason
from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.identify import IdentifyScheduler
from gateway_service.state import KeyBusy, Taken
from gateway_service.supervisor.gateway_info import GatewayInfo, start_limit_of
from gateway_service.supervisor.identify_journal import IdentifyJournal
from gateway_service.supervisor.plan import as_ranges
from gateway_service.supervisor.status import BudgetStatus
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

PresenceOf = Callable[[int], Awaitable[dict[str, Any] | None]]
HandOver = Callable[[int, int, dict[str, Any] | None], None]
"""Given shard, number of the permit and presence."""
AskDiscord = Callable[[], Awaitable[GatewayInfo]]

# How often it is looked what other services of the bot took, and whether the store is there at all.
NEWS_EVERY_S: Final = 5.0


class PermitOwner:
    """Grants permits one by one, within the budget; each one is in the store before the shard may use it."""

    def __init__(
        self,
        scheduler: IdentifyScheduler,
        budget: IdentifyBudget,
        journal: IdentifyJournal,
        *,
        num_shards: int,
        presence_of: PresenceOf,
        hand_over: HandOver,
        ask_discord: AskDiscord | None = None,
    ) -> None:
        """Start with no request.

        Args:
            scheduler: Decides whose turn it is; its clock is the loop's.
            budget: Decides whether that one may IDENTIFY, on the same clock.
            journal: Where permits are taken, by this supervisor, the next one and those of other hosts.
            num_shards: Of the bot.
            presence_of: Asked for the presence of each shard that gets a permit.
            hand_over: Hands a permit and its presence to a shard.
            ask_discord: ``GET /gateway/bot``; None when nobody may be asked.
        """
        self._scheduler = scheduler
        self._budget = budget
        self._journal = journal
        self._num_shards = num_shards
        self._presence_of = presence_of
        self._hand_over_to = hand_over
        self._ask_discord = ask_discord
        self._is_asking = False
        self._changed = asyncio.Event()
        # Shards that have a permit and have not used it, and its number; shards that have, and wait for the answer.
        self._granted: dict[int, int] = {}
        self._unanswered: dict[int, int] = {}
        self._settled: asyncio.Queue[tuple[int, int, bool]] = asyncio.Queue()
        """Shard and number of each permit of which the store does not know yet whether it was used, and that."""
        self._news_at = -inf
        self._waits: dict[int, Wait] = {}
        self._told: dict[WaitReason, set[int]] = {}
        self._granted_total = 0
        self._forced_total = 0

    @property
    def waiting(self) -> int:
        """How many shards wait for a permit."""
        return len(self._scheduler.waiting)

    @property
    def state_error(self) -> str | None:
        """Why the state store cannot be used; None when it can."""
        return self._journal.error

    def request(self, shard_id: int) -> None:
        """Queue a shard that wants to IDENTIFY."""
        self._settle(shard_id, is_used=False)
        self._scheduler.request(shard_id, _now())
        self._changed.set()

    def cancel(self, shard_id: int) -> None:
        """Take back a request, or a permit that the shard has not used and will not use."""
        self._settle(shard_id, is_used=False)
        self._waits.pop(shard_id, None)
        self._scheduler.cancel(shard_id)
        self._changed.set()

    def sent(self, shard_id: int) -> None:
        """Note that the permit of a shard is used: its IDENTIFY is on the way."""
        if (number := self._settle(shard_id, is_used=True)) is not None:
            self._unanswered[shard_id] = number

    def answered(self, shard_id: int) -> None:
        """Start the spacing of the shard's key: Discord answered its IDENTIFY, or never will."""
        if (number := self._unanswered.pop(shard_id, None)) is not None:
            self._settled.put_nowait((shard_id, number, True))  # the store shall count from here as well
            self._scheduler.answered(shard_id, _now())
            self._changed.set()

    def gone(self, shard_ids: Iterable[int]) -> None:
        """Drop all that the shards of a dead process asked for; a permit they held may have been used."""
        for shard_id in shard_ids:
            self._waits.pop(shard_id, None)
            self.sent(shard_id)
            self.answered(shard_id)
            self._scheduler.cancel(shard_id)
        self._changed.set()

    def _settle(self, shard_id: int, *, is_used: bool) -> int | None:
        """Note what became of the permit of a shard; return its number, if it had one."""
        if (number := self._granted.pop(shard_id, None)) is not None:
            self._settled.put_nowait((shard_id, number, is_used))
        return number

    def reason_to_wait(self, shard_id: int) -> str | None:
        """Return why a waiting shard does not get its permit; None when it is only a matter of its turn."""
        wait = self._waits.get(shard_id)
        return None if wait is None else _as_text(wait)

    def refusal(self, shard_id: int) -> str | None:
        """Return why a shard that asked now would have to wait for longer than its turn; None when it would not."""
        decision = self._budget.decide(shard_id, _now())
        return _as_text(decision) if isinstance(decision, Wait) else None

    def status(self) -> BudgetStatus:
        """Return what is left and who waits for it."""
        now = _now()
        forecast = self._budget.forecast(now)
        next_at = min((wait.until for wait in self._waits.values()), default=None)
        return BudgetStatus(
            total=forecast.total,
            remaining=forecast.remaining,
            reserve=forecast.reserve,
            spent=forecast.spent,
            reset_at=None if forecast.reset_at is None else _as_unix(forecast.reset_at, now),
            can_restart_all=forecast.can_restart_all,
            breaker="open" if forecast.breaker_is_open else "closed",
            max_concurrency=self._scheduler.max_concurrency,
            waiting=self.waiting,
            held=len(self._waits),
            next_at=None if next_at is None else _as_unix(next_at, now),
            granted=self._granted_total,
            forced=self._forced_total,
        )

    async def run(self) -> None:
        """Grant permits until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._until_due()
                if self._is_asking:
                    continue
                if self._ask_discord is not None and self._ask_at <= _now():
                    self._is_asking = True
                    group.create_task(self._learn(self._ask_discord), name="identify-budget")
                elif min(self._scheduler.next_deadline, self._news_at) <= _now():
                    await self._take_over_news()
                    await self._decide(group)

    async def settle(self) -> None:
        """Tell the store what became of each permit, until cancelled: also of those that are out when grants end."""
        while True:
            shard_id, number, is_used = await self._settled.get()
            await self._journal.settle(shard_id, number, is_used=is_used)

    @property
    def _ask_at(self) -> float:
        return inf if self._ask_discord is None else self._budget.ask_at(_now(), waiting=self.waiting)

    async def _until_due(self) -> None:
        deadline = inf if self._is_asking else min(self._scheduler.next_deadline, self._ask_at, self._news_at)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if deadline == inf else deadline):
                await self._changed.wait()
        self._changed.clear()

    async def _learn(self, ask_discord: AskDiscord) -> None:
        """Ask Discord what is left. Without an answer the last one counts, and what was sent since."""
        asked_at = _now()
        self._budget.asked(asked_at)
        try:
            info = await ask_discord()
        except GatewayServiceError as exc:
            log_event(_log, logging.WARNING, LogEvent.API_FAILED, reason=str(exc))
        else:
            self._budget.learn(start_limit_of(info, asked_at))
            if info.max_concurrency != self._scheduler.max_concurrency:
                log_event(_log, logging.INFO, LogEvent.IDENTIFY_PACE, max_concurrency=info.max_concurrency)
            self._scheduler.set_max_concurrency(info.max_concurrency)
            self._scheduler.reconsider(_now())
        finally:
            self._is_asking = False
            self._changed.set()

    async def _take_over_news(self) -> None:
        for identify in await self._journal.news():
            self._budget.sent(identify.shard_id, identify.num_shards, identify.at)
        now, again_at = _now(), self._journal.again_at
        self._news_at = again_at if again_at > now else now + NEWS_EVERY_S

    async def _decide(self, group: asyncio.TaskGroup) -> None:
        while due := self._scheduler.due(_now()):  # a shard that has to wait leaves its turn to the next
            for shard_id in due:
                match await self._decision(shard_id):
                    case Wait(until=until) as wait:
                        if self._scheduler.is_held(shard_id):
                            self._waits[shard_id] = wait
                        self._scheduler.postpone(shard_id, until)
                    case KeyBusy(for_s=for_s):
                        # Used at once, most likely: after the spacing the store knows of the answer, too.
                        until = _now() + min(for_s, IDENTIFY_SPACING_S)
                        self._scheduler.taken_elsewhere(shard_id, until)
                    case (Grant(forced=forced), Taken(number=number)):
                        self._count(shard_id, _now(), forced=forced)
                        self._granted[shard_id] = number
                        if self._scheduler.is_held(shard_id):
                            group.create_task(self._hand_over(shard_id, number), name=f"permit-{shard_id}")
                        else:  # it was cancelled while the store was asked
                            self._settle(shard_id, is_used=False)
        self._tell_waits(_now())

    async def _decision(self, shard_id: int) -> Wait | KeyBusy | tuple[Grant, Taken]:
        """Decide by all that is known of the bot, and take the permit in the same step or decide anew."""
        while self._journal.again_at <= _now():
            decision = self._budget.decide(shard_id, _now())
            if isinstance(decision, Wait):
                return decision
            answer = await self._journal.take(shard_id, self._scheduler.max_concurrency)
            if isinstance(answer, Taken):
                return decision, answer
            if isinstance(answer, KeyBusy):
                return answer
            if answer is not None:
                await self._take_over_news()
        return Wait(self._journal.again_at, WaitReason.STATE)

    def _count(self, shard_id: int, now: float, *, forced: bool) -> None:
        self._waits.pop(shard_id, None)
        self._budget.sent(shard_id, self._num_shards, now)
        self._granted_total += 1
        if forced:
            self._forced_total += 1
            log_event(
                _log,
                logging.ERROR,
                LogEvent.IDENTIFY_FORCED,
                shard_id=shard_id,
                remaining=self._budget.remaining(now),
                reserve=self._budget.reserve,
            )

    def _tell_waits(self, now: float) -> None:
        """Log who waits and why, when somebody joined them."""
        waits: dict[WaitReason, set[int]] = {}
        for shard_id, wait in self._waits.items():
            waits.setdefault(wait.reason, set()).add(shard_id)
        for reason, shard_ids in waits.items():
            if shard_ids - self._told.get(reason, set()):
                log_event(
                    _log,
                    logging.WARNING if reason is WaitReason.BREAKER else logging.ERROR,
                    LogEvent.IDENTIFY_WAITING,
                    reason=reason,
                    shards=as_ranges(sorted(shard_ids)),
                    wait_s=min(self._waits[shard_id].until for shard_id in shard_ids) - now,
                    remaining=self._budget.remaining(now),
                    reserve=self._budget.reserve,
                )
        self._told = waits

    async def _hand_over(self, shard_id: int, number: int) -> None:
        presence = await self._presence_of(shard_id)
        if self._granted.get(shard_id) == number:
            self._hand_over_to(shard_id, number, presence)


def _as_text(wait: Wait) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_as_unix(wait.until, _now())))
    return f"may not IDENTIFY before {at}: {WAIT_MEANINGS[wait.reason]}"


def _as_unix(at: float, now: float) -> float:
    return time.time() + at - now


def _now() -> float:
    return asyncio.get_running_loop().time()
