"""What Discord said about the gateway at the start, asked for again when it does not hold any more."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from gateway_service.errors import GatewayServiceError
from gateway_service.supervisor.gateway_info import GatewayInfo
from gateway_service.supervisor.policy import GiveUp, after_refused_count
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)

# Every shard without a connection reports its failed dials, each once a minute when Discord is away for long.
ASK_INTERVAL_S: Final = 30.0

AskDiscord = Callable[[], Awaitable[GatewayInfo]]


class GatewayWatch:
    """Asks once for all shards; without an answer what was known goes on to count."""

    def __init__(
        self,
        url: str,
        num_shards: int,
        ask_discord: AskDiscord | None,
        *,
        is_url_set: bool,
        is_count_set: bool,
        use_url: Callable[[str], None],
        refuse_count: Callable[[GiveUp], None],
    ) -> None:
        """Begin with what was found at the start.

        Args:
            url: Where shards without a host of their own connect.
            num_shards: Of the bot.
            ask_discord: ``GET /gateway/bot``; None when nobody may be asked.
            is_url_set: Whether an operator set ``url``; then it is never replaced.
            is_count_set: Whether an operator set ``num_shards``; else Discord recommended it at the start.
            use_url: Gets another URL.
            refuse_count: Gets what follows when Discord refuses shards of this count.
        """
        self.url = url
        self._num_shards = num_shards
        self._ask_discord = ask_discord
        self._is_url_set = is_url_set
        self._is_count_set = is_count_set
        self._use_url = use_url
        self._refuse_count = refuse_count
        self._asked_at = -inf
        self._refused: deque[tuple[int, int]] = deque()
        self._doubted = asyncio.Event()

    def url_failed(self) -> None:
        """A shard cannot connect to the URL. It tells so again after its next dial, so a question may be left out."""
        if not self._is_url_set and asyncio.get_running_loop().time() - self._asked_at >= ASK_INTERVAL_S:
            self._doubted.set()

    def count_refused(self, shard_id: int, code: int) -> None:
        """Discord closed a shard with a code that is about the shard count."""
        self._refused.append((shard_id, code))
        self._doubted.set()

    async def ask(self) -> GatewayInfo:
        """Ask Discord; shards use its URL from now on.

        Raises:
            GatewayServiceError: There is no usable answer.
        """
        assert self._ask_discord is not None, "there is nobody to ask"
        self._asked_at = asyncio.get_running_loop().time()
        info = await self._ask_discord()
        if info.url != self.url and not self._is_url_set:
            log_event(_log, logging.WARNING, LogEvent.GATEWAY_URL, url=info.url, before=self.url)
            self.url = info.url
            self._use_url(info.url)
        return info

    async def run(self) -> None:
        """Ask whenever something is in doubt, until cancelled."""
        while True:
            await self._doubted.wait()
            self._doubted.clear()
            recommended = await self._recommended()
            while self._refused:
                shard_id, code = self._refused.popleft()
                self._refuse_count(
                    after_refused_count(
                        shard_id, code, used=self._num_shards, is_set=self._is_count_set, recommended=recommended
                    )
                )

    async def _recommended(self) -> int | None:
        """Ask; return the shard count that Discord recommends, None without an answer."""
        if self._ask_discord is None:
            return None
        try:
            return (await self.ask()).shards
        except GatewayServiceError as exc:
            log_event(_log, logging.WARNING, LogEvent.API_FAILED, reason=str(exc))
            return None
