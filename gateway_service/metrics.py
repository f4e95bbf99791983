"""Metrics: every name, listed once, and the histogram they share. The list is also docs/metrics.md."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of ``/metrics``. Labels are bounded by what a host runs: no guild, user or session is ever one."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    help: str


METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("gateway_broker_up", "gauge", "0 or 1", ("process",), "Whether the publisher may publish now."),
        Metric(
            "gateway_commands_total",
            "counter",
            "commands",
            ("op", "outcome"),
            "Commands to Discord by opcode; outcome is ok or the code of an error.",
        ),
        Metric(
            "gateway_confirm_latency_seconds",
            "histogram",
            "seconds",
            ("process",),
            "From reading a dispatch off the socket to the broker's confirm; each batch counts as its oldest.",
        ),
        Metric(
            "gateway_control_calls_total",
            "counter",
            "calls",
            ("operation", "outcome"),
            "Operations of the control plane; outcome is ok, partial, repeated or the code of an error.",
        ),
        Metric(
            "gateway_confirm_lag_seconds",
            "gauge",
            "seconds",
            ("process",),
            "Age of the oldest dispatch that the broker has not confirmed.",
        ),
        Metric(
            "gateway_dispatches_duplicate_total",
            "counter",
            "dispatches",
            ("shard",),
            "Replayed dispatches that were dropped because they were here already.",
        ),
        Metric("gateway_dispatches_pending", "gauge", "dispatches", ("shard",), "Received and not yet confirmed."),
        Metric("gateway_dispatches_published_total", "counter", "dispatches", ("shard",), "Confirmed by the broker."),
        Metric("gateway_dispatches_received_total", "counter", "dispatches", ("shard",), "Read from the socket."),
        Metric("gateway_dispatches_replayed_total", "counter", "dispatches", ("shard",), "Brought by a RESUME."),
        Metric("gateway_gaps_total", "counter", "gaps", ("shard",), "How often something may have been lost."),
        Metric("gateway_guilds", "gauge", "guilds", ("shard",), "Guilds of the shard."),
        Metric(
            "gateway_heartbeat_latency_seconds",
            "histogram",
            "seconds",
            ("process",),
            "From a heartbeat to its ACK.",
        ),
        Metric("gateway_identify_budget_limit", "gauge", "identifies", (), "IDENTIFYs of a day."),
        Metric("gateway_identify_budget_remaining", "gauge", "identifies", (), "IDENTIFYs that are certainly left."),
        Metric("gateway_identify_budget_reserve", "gauge", "identifies", (), "IDENTIFYs only spent when forced."),
        Metric("gateway_identify_breaker_open", "gauge", "0 or 1", (), "Whether repeated IDENTIFYs are slowed."),
        Metric("gateway_identify_waiting", "gauge", "shards", (), "Shards that want to IDENTIFY."),
        Metric("gateway_identifies_total", "counter", "identifies", ("shard",), "IDENTIFYs sent."),
        Metric(
            "gateway_ladder_rung",
            "gauge",
            "0 or 1",
            ("process", "rung"),
            "1 for the rung of the outage ladder that the process is on; see reliability.md.",
        ),
        Metric("gateway_ledger_balanced", "gauge", "0 or 1", ("shard",), "Whether the ledger of the session adds up."),
        Metric("gateway_outbox_bytes", "gauge", "bytes", ("process",), "Waiting in memory for the broker."),
        Metric("gateway_process_cpu_seconds_total", "counter", "seconds", ("process",), "CPU time of a shard process."),
        Metric("gateway_process_max_rss_bytes", "gauge", "bytes", ("process",), "Largest memory of a shard process."),
        Metric("gateway_process_restarts_total", "counter", "exits", ("process",), "Ends that nobody asked for."),
        Metric("gateway_process_up", "gauge", "0 or 1", ("process",), "Whether the shard process runs."),
        Metric(
            "gateway_reconnects_total",
            "counter",
            "reconnects",
            ("cause", "code"),
            "Ended gateway connections by cause (as in shard.closed) and by Discord's close code: none without one, "
            "other for unknown ones.",
        ),
        Metric("gateway_resumes_total", "counter", "resumes", ("shard",), "RESUMED received."),
        Metric("gateway_shard_up", "gauge", "0 or 1", ("shard",), "Whether the shard is live."),
        Metric("gateway_state_up", "gauge", "0 or 1", (), "Whether the state store can be used; see state.md."),
        Metric(
            "gateway_silences_total",
            "counter",
            "events",
            ("outcome",),
            "Shards that ACKed and heard nothing: resume and identify are cures begun, healed and given_up their ends.",
        ),
        Metric(
            "gateway_standing_messages",
            "gauge",
            "messages",
            ("queue",),
            "Messages in gateway.dead and gateway.unrouted, as the broker tells every 10 s: the same on every host.",
        ),
        Metric("gateway_spool_bytes", "gauge", "bytes", ("process",), "Waiting on disk for the broker."),
        Metric(
            "gateway_unrouted_messages",
            "gauge",
            "messages",
            ("event",),
            "At the broker because nobody subscribed to them; other for undocumented names.",
        ),
    )
}
"""Every metric, listed once; docs/metrics.md is made from it."""

# Ten buckets from a fast local broker to one that hardly answers; the last is everything above.
LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Histogram:
    """Counts observations by :data:`LATENCY_BUCKETS_S`. One thread writes."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        """Of each bucket alone, the last for all above."""
        self.sum_s = 0.0

    def observe(self, value_s: float, times: int = 1) -> None:
        value_s = max(0.0, value_s)  # a clock that was set back
        self.counts[bisect_left(LATENCY_BUCKETS_S, value_s)] += times
        self.sum_s += value_s * times
