"""Watches one child of a slot: it has to start, and from then on to answer pings."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gateway_service.ipc.messages import Ping
from gateway_service.supervisor.child import Child
from gateway_service.supervisor.policy import Policy, has_failed_to_start, is_hung
from gateway_service.supervisor.states import ProcessState
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


class Watchdog:
    """Kills a child that does not start or does not answer; one that is stopping has its own deadline."""

    def __init__(self, index: int, child: Child, state: Callable[[], ProcessState], policy: Policy) -> None:
        self._index = index
        self._child = child
        self._state = state
        self._policy = policy
        self._pings = 0
        self._pongs = 0

    def answered(self, nonce: int) -> None:
        """Note a Pong."""
        self._pongs = nonce

    async def run(self) -> None:
        """Watch until the child is killed or stopping."""
        ticks = 0
        while self._state() is not ProcessState.STOPPING:
            await asyncio.sleep(self._policy.ping_interval_s)
            ticks += 1
            if self._state() is ProcessState.STARTING and has_failed_to_start(ticks, self._policy):
                self._kill(f"no report within {self._policy.start_timeout_s:g} s")
                return
            if self._state() is ProcessState.RUNNING:
                unanswered = self._pings - self._pongs
                if is_hung(unanswered, self._policy):
                    self._kill(f"{unanswered} pings unanswered")
                    return
                self._pings += 1
                self._child.channel.send(Ping(nonce=self._pings))

    def _kill(self, reason: str) -> None:
        log_event(_log, logging.ERROR, LogEvent.PROCESS_HUNG, process=self._index, pid=self._child.pid, reason=reason)
        self._child.kill()
