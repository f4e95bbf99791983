"""One end of the socket between the supervisor and a shard process: one JSON message a line."""

import asyncio
import contextlib
import socket
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway_service.errors import GatewayServiceError
from gateway_service.ipc.messages import AnyChildMessage, AnySupervisorMessage, ChildMessage, SupervisorMessage

# A report on the hundred thousand shards that the settings allow at most has about 40 MB; usual ones have kilobytes.
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
# More than any peer that reads would ever leave unread.
MAX_UNREAD_BYTES: Final = 2 * MAX_LINE_BYTES

_Sent = TypeVar("_Sent", bound=BaseModel)
_Received = TypeVar("_Received", bound=BaseModel)


class ChannelBroken(GatewayServiceError):
    """The peer wrote something that is not a message: another program, or another version of this one."""


class Channel(Generic[_Sent, _Received]):
    """Sends messages of one direction and receives those of the other. Only for the loop it was opened in."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: TypeAdapter[_Received]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._received = received

    def send(self, message: _Sent) -> None:
        """Write one message without waiting. To a peer that has gone it does nothing: ``receive`` tells that.

        A peer that reads nothing for so long that :data:`MAX_UNREAD_BYTES` pile up counts as gone.
        """
        if self._writer.is_closing():
            return
        self._writer.write(message.model_dump_json().encode() + b"\n")
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._writer.transport.abort()

    async def receive(self) -> _Received | None:
        """Return the next message; None when the peer has gone.

        Raises:
            ChannelBroken: The peer does not speak our language. The text shows nothing of what it wrote.
        """
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        except ValueError:
            raise ChannelBroken(f"a message on the ipc channel is longer than {MAX_LINE_BYTES} bytes") from None
        if not line.endswith(b"\n"):
            return None  # the peer died, perhaps in the middle of a line
        try:
            return self._received.validate_json(line)
        except ValidationError as exc:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in exc.errors(include_input=False, include_context=False, include_url=False)
            )
            raise ChannelBroken(f"a message on the ipc channel cannot be read: {faults}") from None

    async def flush(self) -> None:
        """Wait until the peer has room for more; all is written when a small message was the last."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def close(self) -> None:
        """Write what is left and close."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


SupervisorChannel = Channel[SupervisorMessage, ChildMessage]
"""The end that the supervisor holds."""
ChildChannel = Channel[ChildMessage, SupervisorMessage]
"""The end that a shard process holds."""

_CHILD_MESSAGES: Final[TypeAdapter[Any]] = TypeAdapter(AnyChildMessage)
_SUPERVISOR_MESSAGES: Final[TypeAdapter[Any]] = TypeAdapter(AnySupervisorMessage)


async def open_supervisor_channel(sock: socket.socket) -> SupervisorChannel:
    """Return the supervisor's end; the channel owns ``sock`` from here on."""
    reader, writer = await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE_BYTES)
    return Channel(reader, writer, _CHILD_MESSAGES)


async def open_child_channel(fd: int) -> ChildChannel:
    """Return a shard process's end, made of the descriptor that ``--ipc-fd`` names.

    Raises:
        OSError: There is no such socket: the process was not started by a supervisor.
    """
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd), limit=MAX_LINE_BYTES)
    return Channel(reader, writer, _SUPERVISOR_MESSAGES)
