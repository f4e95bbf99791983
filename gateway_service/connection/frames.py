"""Where one WebSocket frame ends and the next begins (RFC 6455 §5.2), for a server's unmasked frames."""

from typing import Final

WHOLE_TEXT: Final = 0x81
"""First byte of a complete text message: FIN set, no extension bits, opcode 1."""
WHOLE_BINARY: Final = 0x82
"""First byte of a complete binary message: FIN set, no extension bits, opcode 2."""
NOT_A_FRAME: Final = -1
"""Instead of a first byte: masked (a server must not, RFC 6455 §5.1) or too large; no boundary is looked for."""
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""Far above anything Discord sends; a length beyond it is a fault of the stream, not a message to wait for."""

_LENGTH_16: Final = 126
_LENGTH_64: Final = 127


class FrameSplitter:
    """Cut a byte stream into WebSocket frames, keeping the unfinished tail for the next read.

    Only lengths are understood here. What a frame means, and whether it is allowed, is decided by the
    websockets library; a complete data message is the one case simple enough to be taken without it.
    """

    __slots__ = ("_tail", "_wanted")

    def __init__(self) -> None:
        self._tail = bytearray()
        self._wanted = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames completed by ``data``, each with its first byte.

        A complete data message comes as its payload alone, any other frame whole, header included.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._wanted:
                return []
            data = bytes(self._tail)
            self._tail = bytearray()
        frames: list[tuple[int, bytes]] = []
        position, end, wanted = 0, len(data), 2
        while end - position >= wanted:
            size = data[position + 1]
            header = 2
            if size == _LENGTH_16:
                header = 4
            elif size == _LENGTH_64:
                header = 10
            elif size > _LENGTH_64:
                frames.append((NOT_A_FRAME, data[position:]))
                return frames
            if header > 2:  # noqa: PLR2004 - an extended length follows the two fixed bytes
                if end - position < header:
                    wanted = header
                    break
                size = int.from_bytes(data[position + 2 : position + header], "big")
            if size > MAX_FRAME_BYTES:
                frames.append((NOT_A_FRAME, data[position:]))
                return frames
            wanted = header + size
            if end - position < wanted:
                break
            first = data[position]
            payload_at = position + header if first in (WHOLE_BINARY, WHOLE_TEXT) else position
            frames.append((first, data[payload_at : position + wanted]))
            position += wanted
            wanted = 2
        if position < end:
            self._tail += data[position:]
            self._wanted = wanted
        return frames
