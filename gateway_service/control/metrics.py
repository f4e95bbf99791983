"""``/metrics``: the table of :mod:`gateway_service.metrics`, filled from one snapshot."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway_service.control.control import Control
from gateway_service.control.health import why_state_fails
from gateway_service.events import EVENTS
from gateway_service.ipc.statuses import HistogramCounts
from gateway_service.metrics import LATENCY_BUCKETS_S, METRICS, Metric
from gateway_service.publisher.rungs import Rung
from gateway_service.supervisor import Snapshot

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

Sample = tuple[tuple[str, ...], float | HistogramCounts]
"""Values of the labels, and the number."""

# Shown before the first of them: Prometheus sees no increase in a number that begins above 0, and when Discord loses
# the sessions of all shards, each of these begins there.
_LOST_SESSIONS: Final = (("session_invalid", "none"), ("closed", "4007"), ("closed", "4009"))


def exposition(control: Control) -> bytes:
    """Return all metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(control))
    return generate_latest(registry)


class _Collector:
    """prometheus-client's port for numbers that are kept elsewhere."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def collect(self) -> Iterator[Any]:
        snapshot = self._control.host.service.snapshot()
        sources = {**_SHARD_SAMPLES, **_PROCESS_SAMPLES, **_SERVICE_SAMPLES}
        for metric in METRICS.values():
            if metric.name == "gateway_control_calls_total":
                samples: Iterable[Sample] = self._control.calls.items()
            elif metric.name == "gateway_standing_messages":
                samples = [((queue,), length) for queue, length in self._control.standing_queues.lengths.items()]
            elif metric.name == "gateway_unrouted_messages":
                samples = _unrouted(self._control.host.unrouted)
            elif metric.name == "gateway_commands_total":
                samples = [((str(op), outcome), count) for (op, outcome), count in snapshot.commands.items()]
            else:
                samples = sources[metric.name](snapshot)
            yield _family(metric, samples)


def _family(metric: Metric, samples: Iterable[Sample]) -> Any:
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    family = kinds[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        if isinstance(value, HistogramCounts):
            total, buckets = 0, []
            for bound, count in zip((*map(str, LATENCY_BUCKETS_S), "+Inf"), value.counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets=buckets, sum_value=value.sum_s)
        else:
            family.add_metric(labels, value)
    return family


_Source = Callable[[Snapshot], Iterable[Sample]]


def _of_shards(number: Callable[[Any], float]) -> _Source:
    return lambda snapshot: [((str(shard.shard_id),), number(shard)) for shard in snapshot.shards]


def _of_processes(number: Callable[[Any], float]) -> _Source:
    return lambda snapshot: [((str(process.index),), number(process)) for process in snapshot.processes]


def _of_statuses(number: Callable[[Any], float | HistogramCounts]) -> _Source:
    """Read what living processes report."""
    return lambda snapshot: [
        ((str(process.index),), number(process.status)) for process in snapshot.processes if process.status is not None
    ]


def _reconnects(snapshot: Snapshot) -> Iterable[Sample]:
    counts: Counter[tuple[str, str]] = Counter(dict.fromkeys(_LOST_SESSIONS, 0))
    for process in snapshot.processes:
        counts.update(process.reconnects)
    return sorted(counts.items())


def _unrouted(counts: Mapping[str, int]) -> Iterable[Sample]:
    """Count by documented name, and all others together: names come from Discord, and labels must be bounded."""
    by_label: Counter[tuple[str, ...]] = Counter()
    for event, count in counts.items():
        by_label[event if event in EVENTS else "other",] += count
    return by_label.items()


def _rungs(snapshot: Snapshot) -> Iterable[Sample]:
    return [
        ((str(process.index), rung), float(process.status.rung == rung))
        for process in snapshot.processes
        if process.status is not None
        for rung in Rung
    ]


_SHARD_SAMPLES: Final[dict[str, _Source]] = {
    "gateway_dispatches_duplicate_total": _of_shards(lambda shard: shard.duplicates),
    "gateway_dispatches_pending": _of_shards(lambda shard: max(0, shard.received - shard.published)),
    "gateway_dispatches_published_total": _of_shards(lambda shard: shard.published),
    "gateway_dispatches_received_total": _of_shards(lambda shard: shard.received),
    "gateway_dispatches_replayed_total": _of_shards(lambda shard: shard.replayed),
    "gateway_gaps_total": _of_shards(lambda shard: shard.gaps),
    "gateway_guilds": _of_shards(lambda shard: shard.guilds),
    "gateway_identifies_total": _of_shards(lambda shard: shard.identifies),
    "gateway_ledger_balanced": _of_shards(lambda shard: shard.is_balanced),
    "gateway_resumes_total": _of_shards(lambda shard: shard.resumes),
    "gateway_shard_up": _of_shards(lambda shard: shard.state == "live"),
}
_PROCESS_SAMPLES: Final[dict[str, _Source]] = {
    "gateway_broker_up": _of_statuses(lambda status: status.broker == "up"),
    "gateway_confirm_lag_seconds": _of_statuses(lambda status: status.confirm_lag_s),
    "gateway_confirm_latency_seconds": _of_statuses(lambda status: status.confirm_latency),
    "gateway_heartbeat_latency_seconds": _of_statuses(lambda status: status.heartbeat_latency),
    "gateway_ladder_rung": _rungs,
    "gateway_outbox_bytes": _of_statuses(lambda status: status.pending_bytes),
    "gateway_process_cpu_seconds_total": _of_statuses(lambda status: status.cpu_s),
    "gateway_process_max_rss_bytes": _of_statuses(lambda status: status.max_rss_bytes),
    "gateway_process_restarts_total": _of_processes(lambda process: process.restarts),
    "gateway_process_up": _of_processes(lambda process: process.state == "RUNNING"),
    "gateway_reconnects_total": _reconnects,
    "gateway_spool_bytes": _of_statuses(lambda status: status.spool_bytes),
}
_SERVICE_SAMPLES: Final[dict[str, _Source]] = {
    "gateway_identify_breaker_open": lambda snapshot: [((), float(snapshot.identify_budget.breaker == "open"))],
    "gateway_identify_budget_limit": lambda snapshot: [((), snapshot.identify_budget.total)],
    "gateway_identify_budget_remaining": lambda snapshot: [((), snapshot.identify_budget.remaining)],
    "gateway_identify_budget_reserve": lambda snapshot: [((), snapshot.identify_budget.reserve)],
    "gateway_identify_waiting": lambda snapshot: [((), snapshot.identify_budget.waiting)],
    "gateway_state_up": lambda snapshot: [((), float(why_state_fails(snapshot) is None))],
    "gateway_silences_total": lambda snapshot: [((outcome,), count) for outcome, count in snapshot.silences.items()],
}
