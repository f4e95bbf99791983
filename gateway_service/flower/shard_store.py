"""The last that was heard of every shard, and which of it is news to a page. Pure: times come in as arguments."""

from collections.abc import Mapping
from typing import Any, Final

from gateway_service.flower.rates import Rates

DEFAULT_FREQ_S: Final = 5.0
# Two events that should have come did not, as Celery judges workers, and a moment for the road.
_MISSED: Final = 2
_ROAD_S: Final = 2.0
FORGET_AFTER_S: Final = 900.0

_SHOWN: Final = (
    *("shard_id", "host", "process", "state", "reason", "since", "latency_s", "guilds", "rung", "restarts"),
    *("session", "session_since", "received_seq", "published_seq", "received", "published", "replayed", "duplicates"),
    *("gaps", "is_balanced", "resumes", "identifies", "lag", "spool_rows", "confirm_lag_s"),
)


class ShardStore:
    """Rows by shard id; each knows the version of the store at which it last changed."""

    def __init__(self) -> None:
        self.version = 0
        self._rows: dict[int, dict[str, Any]] = {}
        self._rates: dict[int, Rates] = {}

    def put(self, fields: Mapping[str, Any], now: float) -> None:
        """Take an event of a shard, or its view as an operation answers it."""
        shard_id = int(fields["shard_id"])
        rates = self._rates.setdefault(shard_id, Rates())
        rates.see(int(fields["received"]), now)
        self._change(
            {name: fields.get(name) for name in _SHOWN}
            | {
                "rate": rates.now,
                "rates": rates.all,
                "seen_at": now,
                "freq": float(fields.get("freq") or DEFAULT_FREQ_S),
                "is_stale": False,
            }
        )

    def changes(self, since: int, now: float) -> list[dict[str, Any]]:
        """Return the rows that changed after version ``since``, silent ones marked."""
        for row in [*self._rows.values()]:
            silent_s = now - row["seen_at"]
            if silent_s > FORGET_AFTER_S:
                del self._rows[row["shard_id"]], self._rates[row["shard_id"]]
            elif not row["is_stale"] and is_stale(silent_s, row["freq"]):
                self._change(row | {"is_stale": True})
        return [row for row in self._rows.values() if row["version"] > since]

    @property
    def shard_ids(self) -> list[int]:
        return sorted(self._rows)

    @property
    def hosts(self) -> frozenset[str]:
        """The supervisors that were heard of lately."""
        return frozenset(row["host"] for row in self._rows.values() if not row["is_stale"])

    @property
    def known_hosts(self) -> frozenset[str]:
        """Those, and the ones whose rows are shown as silent."""
        return frozenset(row["host"] for row in self._rows.values())

    def _change(self, row: dict[str, Any]) -> None:
        self.version += 1
        self._rows[row["shard_id"]] = row | {"version": self.version}


def is_stale(silent_s: float, freq_s: float) -> bool:
    """Tell whether a shard that sends every ``freq_s`` seconds has been silent for too long."""
    return silent_s > _MISSED * freq_s + _ROAD_S
