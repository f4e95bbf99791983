"""The one loop: performs a machine's effects on one WebSocket at a time and feeds it what happens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import Any, Protocol, assert_never

from gateway_service.connection.transport import Transport, open_transport
from gateway_service.errors import ConnectFailed
from gateway_service.protocol.constants import RESUMABLE_CLOSE_CODE
from gateway_service.protocol.effects import (
    CancelPermit,
    Close,
    Deliver,
    Dial,
    Effect,
    IdentifyAnswered,
    IdentifySent,
    Note,
    NoteName,
    RequestGatewayUrl,
    RequestPermit,
    Send,
    SessionForgotten,
    SessionOpened,
    Stopped,
)
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.session import Session


class Host(Protocol):
    """What the driver needs from the shard it serves: somewhere to put what the machine decided."""

    def deliver(self, dispatch: Deliver) -> None:
        """Take one dispatch; it must be stored when this returns."""

    def request_permit(self) -> None:
        """Ask for permission to IDENTIFY; the answer comes through :meth:`Driver.grant_permit`."""

    def cancel_permit(self) -> None:
        """The connection that wanted the permit is gone."""

    def request_gateway_url(self) -> None:
        """Ask for the generic URL again; the answer is set as :attr:`Machine.gateway_url`."""

    def identify_sent(self) -> None:
        """The permit was used."""

    def identify_answered(self) -> None:
        """Discord answered the IDENTIFY or never will; pacing counts from now."""

    def session_opened(self, session: Session) -> None:
        """READY arrived: from here on dispatches belong to ``session``."""

    def session_forgotten(self, forgotten: SessionForgotten, /) -> None:
        """The session cannot be resumed any more."""

    def stopped(self, code: int | None, reason: str) -> None:
        """Discord allows no further connection for this shard."""

    def note(self, name: NoteName, fields: Mapping[str, Any]) -> None:
        """Something worth a log line or a counter."""

    def state_changed(self) -> None:
        """``machine.state`` is another one than before."""


OpenTransport = Callable[[str], Awaitable[Transport]]


class Driver:
    """Run one :class:`Machine` on the event loop that calls :meth:`run`.

    Everything that happens to the machine happens in callbacks of one event loop, so no lock is needed. The
    timers belong to the machine; the driver only wakes it when ``next_deadline`` is due.
    """

    def __init__(self, machine: Machine, host: Host, open_transport: OpenTransport = open_transport) -> None:
        self.machine = machine
        self._host = host
        self._open_transport = open_transport
        self._transport: Transport | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._state = machine.state
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Start the machine and serve it until cancelled.

        Raises:
            Exception: Whatever a callback or a dial raised: a fault of our own code, after which the state of this
                shard cannot be trusted. The process must end; its supervisor starts a fresh one that resumes.
        """
        try:
            self.tell(self.machine.start)
            await self._failure
        finally:
            self._stop_timer()
            self._leave(None)
            await self._closed()

    async def finish(self, code: int) -> None:
        """Close with ``code`` and wait until the socket is gone."""
        self.tell(lambda now: self.machine.finish(code, now))
        await self._closed()

    def tell(self, happening: Callable[[float], Sequence[Effect]]) -> None:
        """Let something happen to the machine now, and perform what it answers.

        Raises:
            LocalProtocolError: The machine refused a command; nothing happened.
        """
        self._perform(happening(self._loop.time()))

    def grant_permit(self, presence: Mapping[str, Any] | None) -> None:
        """Let the machine IDENTIFY, with ``presence`` when there is one."""
        self.tell(lambda now: self.machine.permit_granted(now, presence))

    def _received(self, message: bytes) -> None:
        try:
            effects = self.machine.receive(message, self._loop.time())
            if len(effects) == 1 and type(effects[0]) is Deliver:  # nearly always: nothing else can have changed
                self._host.deliver(effects[0])
            elif effects:
                self._perform(effects)
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self._fail(exc)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._perform_one(effect)
        if self.machine.state is not self._state:
            self._state = self.machine.state
            self._host.state_changed()
        self._arm_timer()

    def _perform_one(self, effect: Effect) -> None:
        match effect:
            case Deliver():
                self._host.deliver(effect)
            case Send(data=data):
                if self._transport is not None:
                    self._transport.send(data)
            case Dial(url=url):
                self._leave(None)
                self._dialing = self._loop.create_task(self._dial(url), name=f"shard-{self.machine.shard_id}-dial")
            case Close(code=code):
                self._leave(code)
            case RequestPermit():
                self._host.request_permit()
            case CancelPermit():
                self._host.cancel_permit()
            case RequestGatewayUrl():
                self._host.request_gateway_url()
            case IdentifySent():
                self._host.identify_sent()
            case IdentifyAnswered():
                self._host.identify_answered()
            case SessionOpened(session=session):
                self._host.session_opened(session)
            case SessionForgotten():
                self._host.session_forgotten(effect)
            case Stopped(code=stop_code, reason=reason):
                self._host.stopped(stop_code, reason)
            case Note(name=name, fields=fields):
                self._host.note(name, fields)
            case _:
                assert_never(effect)

    async def _dial(self, url: str) -> None:
        await self._closed()  # never two sockets of one session at once
        try:
            transport = await self._open_transport(url)
        except ConnectFailed as exc:
            reason, status = exc.reason, exc.status
            self._guarded(lambda: self.tell(lambda now: self.machine.dial_failed(reason, status, now)))
            return
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self._fail(exc)
            return
        self._transport = transport
        self._guarded(lambda: self.tell(self.machine.connected))
        transport.begin(self._received, lambda code, reason: self._guarded(lambda: self._lost(code, reason)))

    def _lost(self, code: int | None, reason: str) -> None:
        # The library answers a close frame with its own code, so the one given here is never sent.
        self._leave(RESUMABLE_CLOSE_CODE)
        self.tell(lambda now: self.machine.connection_lost(code, reason, now))

    def _leave(self, code: int | None) -> None:
        """Turn away from the present socket or dial: close with ``code``, or cut it off when there is none."""
        if self._dialing is not None and self._dialing is not asyncio.current_task():
            self._dialing.cancel()
        self._dialing = None
        transport, self._transport = self._transport, None
        if transport is None:
            return
        transport.detach()
        if code is None:
            transport.abort()
            return
        closing = self._loop.create_task(transport.close(code), name=f"shard-{self.machine.shard_id}-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _closed(self) -> None:
        if self._closing:
            await asyncio.wait(self._closing)  # each is bounded by the transport's close time-out

    def _arm_timer(self) -> None:
        deadline = self.machine.next_deadline
        if deadline == self._timer_at:
            return
        self._stop_timer()
        self._timer_at = deadline
        if deadline != inf:
            self._timer = self._loop.call_at(deadline, self._guarded, self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, inf

    def _tick(self) -> None:
        self._timer, self._timer_at = None, inf
        self.tell(self.machine.handle_timer)

    def _guarded(self, callback: Callable[[], None]) -> None:
        """Run a callback of the event loop; its failure ends :meth:`run` instead of vanishing in the loop's log."""
        try:
            callback()
        except Exception as exc:  # noqa: BLE001 - handed on, not swallowed
            self._fail(exc)

    def _fail(self, exc: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(exc)
