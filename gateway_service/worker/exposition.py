"""What Prometheus reads from a worker: how old dispatches are, and how late interactions begin."""

import errno
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from celery.utils.log import get_logger
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, SummaryMetricFamily

from gateway_service.worker.ages import Ages
from gateway_service.worker.lateness import BUCKETS_S, Lateness

METRICS_ADDRESS_KEY: Final = "gateway_worker_metrics_address"
"""Setting of the Celery application: GATEWAY_WORKER_METRICS_ADDRESS."""
# The workers of a host may share one setting; each takes the first of so many ports that is free.
_PORTS: Final = 64

_log = get_logger(__name__)


class WorkerCollector:
    """prometheus-client's port for numbers that are kept elsewhere."""

    def __init__(self, ages: Ages, lateness: Lateness) -> None:
        self._ages = ages
        self._lateness = lateness

    def collect(self) -> Iterator[Any]:
        yield SummaryMetricFamily(
            "gateway_dispatch_age_seconds",
            "From the gateway's reading of a dispatch to a worker's taking it from its queue.",
            count_value=self._ages.count,
            sum_value=self._ages.sum_s,
        )
        measured = self._lateness.read()
        bounds = (*map(str, BUCKETS_S), "+Inf")
        late = HistogramMetricFamily(
            "gateway_interaction_lateness_seconds", "From Discord's timestamp of an interaction to its handler."
        )
        late.add_metric((), list(zip(bounds, accumulate(measured.counts), strict=True)), measured.sum_s)
        yield late
        expired = CounterMetricFamily("gateway_interactions_expired_total", "Interactions too old to be handled.")
        expired.add_metric((), measured.expired)
        yield expired


def serve(host: str, port: int, ages: Ages, lateness: Lateness) -> int | None:
    """Serve ``/metrics`` from a thread; return the port, or None when it cannot be."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(ages, lateness))
    for candidate in range(port, min(port + _PORTS, 2**16)):
        try:
            start_http_server(candidate, host, registry)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                _log.error("Metrics cannot be served on %s:%d: %s", host, candidate, exc)
                return None
        else:
            _log.info("Metrics are served on %s:%d", host, candidate)
            return candidate
    _log.error("Metrics cannot be served: %d ports from %s:%d on are in use", _PORTS, host, port)
    return None
