"""Performs operations for whoever asks, here or on the host that is concerned, and notes who asked for what."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from gateway_service.control.arguments import Arguments
from gateway_service.control.caller import calling
from gateway_service.control.local import Host, no_road
from gateway_service.control.operations import Operation, Reach, parsed
from gateway_service.control.outcomes import code_of, outcome_of
from gateway_service.control.replies import Answer, Outcome, Reply, ShardFailure
from gateway_service.control.service import ANSWERS_WITHIN_S, Collected
from gateway_service.control.standing_queues import StandingQueues
from gateway_service.errors import ServiceUnavailable, ShardUnavailable
from gateway_service.refusals import (
    FAULT,
    ControlError,
    NotReady,
    NotSupported,
    OperationFailed,
    OperationTimedOut,
    OtherHost,
    UnknownShard,
)
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# The arguments that the log has; others may hold what is nobody's business.
_SHOWN: Final = frozenset({"shard_id", "shard_ids", "guild_id", "mode"})


class Control:
    """The one way from a door to an operation."""

    def __init__(self, host: Host) -> None:
        """Make it for the supervisor of this host."""
        self.host = host
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls so far, by operation and outcome (``ok`` or the code of an error)."""
        self.standing_queues = StandingQueues()

    async def perform(self, operation: Operation, given: Mapping[str, Any], caller: str) -> Answer[Any]:
        """Perform an operation wherever it belongs.

        Raises:
            ControlError: It was refused or failed.
        """
        started = time.monotonic()
        arguments: Arguments | None = None
        try:
            arguments = parsed(operation, given)
            self._check_shard(operation, arguments)
            answer = await self._perform(operation, arguments, caller, started)
        except BaseException as exc:  # who is cancelled may have begun it
            self._note(operation, arguments, caller, code_of(exc), started)
            raise
        self._note(operation, arguments, caller, outcome_of(answer), started)
        return answer

    async def perform_here(self, operation: Operation, given: Mapping[str, Any], caller: str) -> Answer[Any] | None:
        """Perform the part of this host, as another host or a broadcast asks; None when no part of it is ours.

        Raises:
            ControlError: It was refused or failed.
        """
        started = time.monotonic()
        arguments: Arguments | None = None
        try:
            arguments = parsed(operation, given)
            self._check_shard(operation, arguments)
            if not self._concerns_us(operation, arguments):
                return None
            answer = self._answer(operation, caller, started, await self._run(operation, arguments, caller))
        except BaseException as exc:  # who is cancelled may have begun it
            self._note(operation, arguments, caller, code_of(exc), started)
            raise
        self._note(operation, arguments, caller, outcome_of(answer), started)
        return answer

    def refused(self, operation: Operation, caller: str, error: ControlError) -> None:
        """Note a call that its door did not let in; ``error`` says whose token it was."""
        self.calls[operation.name, error.code] += 1
        log_event(
            _log,
            logging.WARNING if operation.kind == "control" else logging.DEBUG,
            LogEvent.CONTROL_CALLED,
            operation=operation.name,
            caller=caller,
            outcome=error.code,
            reason=str(error),
        )

    def turned_away(self, operation: Operation, caller: str, error: ControlError) -> None:
        """Note a call that its door let in and did not hand on; the text of ``error`` may repeat what came: no log."""
        self._note(operation, None, caller, error.code, time.monotonic())

    def repeated(self, operation: Operation, given: Mapping[str, Any], caller: str) -> None:
        """Note a call that was not carried out: its door has, or awaits, the answer to the same one before."""
        self._note(operation, parsed(operation, given), caller, "repeated", time.monotonic())

    async def _perform(self, operation: Operation, arguments: Arguments, caller: str, started: float) -> Answer[Any]:
        ours = self._concerns_us(operation, arguments)
        if operation.reach is Reach.SHARD and not ours:
            answer = await self._ask_owner(operation, arguments, caller)
            # In the words of this door; the owner knows neither these nor how long the way is.
            return answer.model_copy(update={"caller": caller, "took_ms": _ms_since(started)})
        if operation.reach is not Reach.EVERY:
            return self._answer(operation, caller, started, await self._run(operation, arguments, caller))
        wanted = self._wanted(arguments)
        results: list[Reply] = []
        failures: list[ShardFailure] = []
        if ours:
            try:
                outcome = await self._run(operation, arguments, caller)
            except ControlError as exc:  # what the others can do is done all the same
                failures += _failures(exc.to_json(self.host.name), wanted & self.host.shard_ids)
            else:
                results.append(outcome.result)
                failures += outcome.failures
        if missing := wanted - self.host.shard_ids:
            others, theirs = await self._ask_others(operation, arguments, missing, caller)
            results += others
            failures += theirs
        if not results:
            hidden = {"shard_id"} if len(failures) > 1 else set()  # it speaks for all of them
            raise ControlError.from_json(failures[0].model_dump(exclude=hidden))
        joined = results[0]
        for other in results[1:]:
            joined = joined.joined(other)
        return self._answer(operation, caller, started, Outcome(joined, failures))

    async def _run(self, operation: Operation, arguments: Arguments, asked_by: str) -> Outcome:
        token = calling.set(asked_by)
        try:
            done = await operation.run(self.host, arguments)
            return done if isinstance(done, Outcome) else Outcome(done)
        except ShardUnavailable as exc:
            raise NotReady(str(exc), shard_id=exc.shard_id) from None
        except ServiceUnavailable as exc:
            raise OperationFailed(str(exc)) from None
        except ControlError:
            raise
        except Exception as exc:
            log_event(_log, logging.ERROR, LogEvent.CONTROL_FAILED, part=operation.name, exc_info=True)
            raise ControlError(FAULT) from exc  # so that every door tells it, and those who ask over the broker, too
        finally:
            calling.reset(token)

    async def _ask_owner(self, operation: Operation, arguments: Arguments, caller: str) -> Answer[Any]:
        shard_id = self._shard_of(arguments)
        takes_s = max(getattr(arguments, name, 0.0) for name in ("timeout_s", "wait_s"))
        answers = await self._ask(operation, arguments, caller, bool, takes_s)
        for answer in answers:
            if "error" in answer:
                raise ControlError.from_json(answer["error"])
            try:
                return Answer[operation.reply].model_validate(answer, extra="ignore")  # type: ignore[name-defined]
            except ValidationError as exc:
                raise _unreadable(answer, exc) from None
        raise OtherHost(
            f"shard {shard_id} is not run by {self.host.name}, and no supervisor that runs it answered",
            shard_id=shard_id,
        )

    async def _ask_others(
        self, operation: Operation, arguments: Arguments, missing: frozenset[int], caller: str
    ) -> tuple[list[Reply], list[ShardFailure]]:
        def covered(answers: Sequence[dict[str, Any]]) -> frozenset[int]:
            return frozenset(shard_id for answer in answers for shard_id in answer.get("shard_ids", ()))

        try:
            answers = await self._ask(operation, arguments, caller, lambda given: missing <= covered(given))
        except (NotSupported, OperationTimedOut) as exc:  # what is known here is told all the same
            return [], [ShardFailure(code=OtherHost.code, message=str(exc), shard_id=each) for each in sorted(missing)]
        results: list[Reply] = []
        failures: list[ShardFailure] = []
        for answer in answers:
            theirs = missing.intersection(answer.get("shard_ids", ()))
            try:
                if "error" in answer:
                    failures += _failures(answer["error"], theirs)
                if "result" in answer:
                    results.append(operation.reply.model_validate(answer["result"], extra="ignore"))
                failures += [ShardFailure.model_validate(each) for each in answer.get("failures", ())]
            except ValidationError as exc:
                failures += _failures(_unreadable(answer, exc).to_json(""), theirs)
        failures += [
            ShardFailure(
                code=OtherHost.code, message=f"no supervisor that runs shard {shard_id} answered", shard_id=shard_id
            )
            for shard_id in sorted(missing - covered(answers))
        ]
        return results, failures

    async def _ask(
        self, operation: Operation, arguments: Arguments, caller: str, is_enough: Collected, takes_s: float = 0.0
    ) -> Sequence[dict[str, Any]]:
        if self.host.peers is None:
            raise no_road(self.host)
        return await self.host.peers.ask(
            operation.name,
            arguments.model_dump(mode="json", exclude_unset=True),
            timeout_s=ANSWERS_WITHIN_S[operation.kind] + takes_s,
            is_enough=is_enough,
            caller=caller,
        )

    def _check_shard(self, operation: Operation, arguments: Arguments) -> None:
        num_shards = self.host.num_shards
        shard_ids = getattr(arguments, "shard_ids", None) or ()
        if operation.reach is Reach.SHARD:
            shard_ids = (self._shard_of(arguments),)
        for shard_id in shard_ids:
            if shard_id >= num_shards:
                raise UnknownShard(
                    f"there is no shard {shard_id}: the bot has {num_shards}, ids go from 0 to {num_shards - 1}",
                    shard_id=shard_id,
                )

    def _shard_of(self, arguments: Arguments) -> int:
        guild_id = getattr(arguments, "guild_id", None)
        shard_id: int = getattr(arguments, "shard_id", 0) if guild_id is None else self.host.shard_of(guild_id)
        return shard_id

    def _wanted(self, arguments: Arguments) -> frozenset[int]:
        shard_ids = getattr(arguments, "shard_ids", None)
        return frozenset(range(self.host.num_shards)) if shard_ids is None else frozenset(shard_ids)

    def _concerns_us(self, operation: Operation, arguments: Arguments) -> bool:
        match operation.reach:
            case Reach.HERE:
                return True
            case Reach.SHARD:
                return self._shard_of(arguments) in self.host.shard_ids
            case Reach.EVERY:
                return bool(self._wanted(arguments) & self.host.shard_ids)

    def _answer(
        self,
        operation: Operation,
        caller: str,
        started: float,
        outcome: Outcome,
    ) -> Answer[Any]:
        return Answer[Any](
            operation=operation.name,
            host=self.host.name,
            caller=caller,
            took_ms=_ms_since(started),
            result=outcome.result,
            failures=list(outcome.failures),
        )

    def _note(
        self, operation: Operation, arguments: Arguments | None, caller: str, outcome: str, started: float
    ) -> None:
        self.calls[operation.name, outcome] += 1
        shown = {name: value for name, value in arguments or () if name in _SHOWN}
        log_event(
            _log,
            logging.INFO if operation.kind == "control" else logging.DEBUG,
            LogEvent.CONTROL_CALLED,
            operation=operation.name,
            caller=caller,
            outcome=outcome,
            took_ms=_ms_since(started),
            **shown,
        )


def _failures(refusal: Mapping[str, object], shard_ids: Iterable[int]) -> list[ShardFailure]:
    """Return what a host refused, once for each of its shards; once in all where these are not known."""
    each: list[Mapping[str, object]] = [{**refusal, "shard_id": shard_id} for shard_id in sorted(shard_ids)]
    return [ShardFailure.model_validate(failure) for failure in each or [refusal]]


def _unreadable(answer: Mapping[str, Any], error: ValidationError) -> OperationFailed:
    """Return the failure of a host of another version: what it was asked to do may be done."""
    host = str(answer.get("host", "another host"))
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return OperationFailed(
        f"the answer of {host} cannot be read: {where}: {fault['msg']}; is its version ours?", host=host
    )


def _ms_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)
