"""Looks at what the shards of a fleet hear, and lets the deaf ones make another connection."""

import asyncio
import logging
from typing import Final

from gateway_service.errors import ShardUnavailable
from gateway_service.protocol.states import State
from gateway_service.supervisor.fleet import Fleet
from gateway_service.supervisor.silence import Cure, SilenceDetector
from gateway_service.telemetry import LogEvent, log_event

_log: Final = logging.getLogger(__name__)


class SilenceWatch:
    """Performs the cures of a detector, inside the identify budget."""

    def __init__(self, fleet: Fleet, detector: SilenceDetector, window_s: float) -> None:
        self._fleet = fleet
        self._detector = detector
        self._window_s = window_s
        self._refused: tuple[int, Cure] | None = None
        """The cure that is not possible for now, once told."""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._window_s)
            self.look()

    def look(self) -> None:
        """End a window."""
        detector = self._detector
        shards = self._fleet.snapshot().shards
        detector.look({shard.shard_id: shard.heard if shard.state == State.LIVE else None for shard in shards})
        if (ended := detector.ended()) is not None:
            shard_id, is_healed = ended
            log_event(
                _log,
                logging.INFO if is_healed else logging.ERROR,
                LogEvent.SHARD_HEALED if is_healed else LogEvent.SHARD_DEAF,
                shard_id=shard_id,
            )
        if (cure := detector.next_cure()) is not None:
            self._begin(*cure)

    def _begin(self, shard_id: int, cure: Cure) -> None:
        silent_s = self._detector.run_of(shard_id) * self._window_s
        try:
            self._fleet.restart_shard(shard_id, "resume" if cure is Cure.RESUME else "identify")
        except ShardUnavailable as exc:
            if self._refused != (shard_id, cure):
                log_event(
                    _log, logging.WARNING, LogEvent.SHARD_SILENT, shard_id=shard_id, silent_s=silent_s, reason=str(exc)
                )
            self._refused = shard_id, cure
            return
        self._refused = None
        log_event(_log, logging.WARNING, LogEvent.SHARD_SILENT, shard_id=shard_id, silent_s=silent_s, cure=cure)
        self._detector.began(shard_id, cure)
