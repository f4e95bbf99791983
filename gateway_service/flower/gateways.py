"""The supervisors as the page sees them: what they told, what they are asked."""

import asyncio
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from celery import Celery
from tornado.ioloop import IOLoop

from gateway_service.control.arguments import Arguments
from gateway_service.control.operations import Operation, Reach, operation_named
from gateway_service.control.peers import BrokerPeers
from gateway_service.control.service import ANSWERS_WITHIN_S, Collected
from gateway_service.flower.answers import all_of, missing_of, refused
from gateway_service.flower.listener import Listener
from gateway_service.flower.shard_store import ShardStore
from gateway_service.refusals import ControlError, OtherHost

_ASK_EVERY_S: Final = 5.0
_ASK_EVERY_S_WHILE_ROLLING: Final = 1.0
_AT_ONCE: Final = 8


class Gateways:
    """Everything that the page shows and does; all of it over the broker, so that it works on any machine."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        # One, because the number that it asks at one time is bounded.
        self._peers = BrokerPeers(app, f"flower@{socket.gethostname()}")
        self._loop = IOLoop.current()
        self._store = ShardStore()
        self._budgets: Sequence[dict[str, Any]] = ()
        self._rolls: Sequence[dict[str, Any]] = ()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self.epoch = secrets.token_hex(4)
        """Changes when Flower starts anew: versions of before mean nothing then."""

    def start(self) -> None:
        """Begin to listen."""

        def heard(event: Mapping[str, Any]) -> None:
            self._loop.add_callback(self._store.put, event, time.time())

        Listener(self._app, heard).start()

    def news(self, since: int) -> dict[str, Any]:
        """Return what changed after version ``since``, as JSON values."""
        self._ask_when_due()
        now = time.time()
        rows = self._store.changes(since, now)
        return {
            "epoch": self.epoch,
            "version": self._store.version,
            "now": now,
            "rows": rows,
            "shard_ids": self._store.shard_ids,
            "budgets": self._budgets,
            "rolls": self._rolls,
        }

    async def restart(self, shard_ids: Sequence[int], mode: str, caller: str) -> list[dict[str, Any]]:
        """Restart shards; return the failures."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(shard_id: int) -> list[dict[str, Any]]:
            async with gate:
                arguments = {"shard_id": shard_id, "mode": mode}
                answers = await self._ask("restart_shard", arguments, caller, bool)
            return refused(answers) if answers else [self._unanswered(shard_id=shard_id)]

        return [failure for failures in await asyncio.gather(*map(one, shard_ids)) for failure in failures]

    async def roll(self, caller: str) -> list[dict[str, Any]]:
        """Begin a rolling restart of every host, one after the other; return the failures."""
        hosts = self._store.hosts
        silent = [self._unanswered(host=host) for host in sorted(self._store.known_hosts - hosts)]
        if not hosts:
            return silent or [self._unanswered()]
        first, *then = sorted(hosts)
        answers = await self._ask("rolling_restart", {"then": then}, caller, bool, host=first)
        self._asked_at = 0.0
        return (refused(answers) if answers else [self._unanswered(host=first)]) + silent

    async def perform(
        self, operation: Operation, arguments: Arguments, host: str, caller: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Perform any operation; return the results by host, and the failures.

        Args:
            operation: One of the registry.
            arguments: Its own.
            host: Node name of the one supervisor that is meant; empty for those that it concerns.
            caller: Who asks.
        """
        given = arguments.model_dump(mode="json", exclude_unset=True)
        patience_s = max(getattr(arguments, name, 0.0) for name in ("timeout_s", "wait_s"))
        shard_ids = getattr(arguments, "shard_ids", None)
        wanted: frozenset[int] = frozenset()
        if operation.reach is Reach.EVERY:
            wanted = frozenset(self._store.shard_ids if shard_ids is None else shard_ids)
        answers = await self._ask(
            operation.name,
            given,
            caller,
            lambda given: not missing_of(wanted, given),
            patience_s=patience_s,
            host=host,
        )
        results = {str(answer["host"]): answer["result"] for answer in answers if "result" in answer}
        silent = [self._unanswered(shard_id=each) for each in sorted(missing_of(wanted, answers))]
        if not answers and not silent:
            silent = [self._unanswered(host=host, shard_id=getattr(arguments, "shard_id", None))]
        return results, refused(answers) + silent

    async def _ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        caller: str,
        is_enough: Collected,
        *,
        patience_s: float = 0.0,
        host: str = "",
    ) -> Sequence[dict[str, Any]]:
        asked = operation_named(operation)
        timeout_s = ANSWERS_WITHIN_S[asked.kind] + asked.takes_s + patience_s
        return await self._peers.ask(
            operation, arguments, timeout_s=timeout_s, is_enough=is_enough, host=host, caller=caller
        )

    def _unanswered(self, *, host: str = "", shard_id: int | None = None) -> dict[str, Any]:
        """Return the failure of whom nobody answered for, as :meth:`ControlError.to_json` has it."""
        if not self._store.hosts:
            words = "no gateway answers; is `gateway-service start` running on this broker?"
        elif host:
            words = f"{host} does not answer"
        elif shard_id is not None:
            words = f"no supervisor that runs shard {shard_id} answered"
        else:
            words = "no supervisor that runs this shard answered"
        return OtherHost(words, shard_id=shard_id).to_json(host)

    def _ask_when_due(self) -> None:
        """Ask for what no event tells; the page does not wait for it."""
        is_rolling = any(roll["state"] == "rolling" for roll in self._rolls)
        every_s = _ASK_EVERY_S_WHILE_ROLLING if is_rolling else _ASK_EVERY_S
        is_busy = self._asking is not None and not self._asking.done()
        if is_busy or time.monotonic() - self._asked_at < every_s:
            return
        self._asked_at = time.monotonic()
        self._asking = asyncio.ensure_future(self._refresh())

    async def _refresh(self) -> None:
        try:
            if not self._store.hosts:
                for answer in await self._ask("shards", {}, "page", lambda _answers: False):
                    for view in answer.get("result", {}).get("shards", ()):
                        self._store.put(view, time.time())
            hosts = self._store.hosts
            if not hosts:
                self._budgets = self._rolls = ()
                return
            budgets = await self._ask("identify_budget", {}, "page", all_of(hosts))
            rolls = await self._ask("rolling_restart_status", {}, "page", all_of(hosts))
        except ControlError:
            return  # the rows grow stale, which is what can be said
        self._budgets = [answer["result"] for answer in budgets if "result" in answer]
        self._rolls = [roll for answer in rolls if "result" in answer for roll in answer["result"]["hosts"]]
