"""/metrics: every metric of the table has its samples, and no label is unbounded."""

import dataclasses

import pytest

from gateway_service.control.control import Control
from gateway_service.control.local import Host
from gateway_service.control.metrics import exposition
from gateway_service.ipc.statuses import HistogramCounts
from gateway_service.metrics import LATENCY_BUCKETS_S, METRICS, Histogram
from tests.support.fleet import FakeFleet, process, shard


def exposed(*shards, processes=None):
    control = Control(Host(FakeFleet(*shards, processes=processes), "gateway@here", print))
    control.calls["shards", "ok"] += 2
    control.standing_queues.lengths = {"gateway.dead": 3}
    return exposition(control).decode()


def test_every_metric_of_the_table_is_there_with_its_help():
    text = exposed(shard(0))

    for metric in METRICS.values():
        name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        assert f"# HELP {name}{'_total' if metric.kind == 'counter' else ''} {metric.help}" in text


def test_numbers_are_those_of_the_snapshot():
    text = exposed(shard(3, received=9, published=7, resumes=2), shard(4, "resuming"))

    assert 'gateway_dispatches_received_total{shard="3"} 9.0' in text
    assert 'gateway_dispatches_pending{shard="3"} 2.0' in text
    assert 'gateway_shard_up{shard="4"} 0.0' in text
    assert 'gateway_ladder_rung{process="0",rung="confirming"} 1.0' in text
    assert 'gateway_ladder_rung{process="0",rung="spool"} 0.0' in text
    assert "gateway_identify_budget_remaining 990.0" in text
    assert "gateway_identify_budget_limit 1000.0" in text
    assert 'gateway_standing_messages{queue="gateway.dead"} 3.0' in text
    assert 'gateway_control_calls_total{operation="shards",outcome="ok"} 2.0' in text


def test_a_histogram_counts_up_to_each_bound():
    histogram = Histogram()
    histogram.observe(0.004)
    histogram.observe(0.3, times=2)
    histogram.observe(99.0)
    histogram.observe(-1.0)
    running = process(0, [0])
    status = running.status.model_copy(update={"confirm_latency": HistogramCounts.of(histogram)})
    text = exposed(shard(0), processes=[dataclasses.replace(running, status=status)])

    assert 'gateway_confirm_latency_seconds_bucket{le="0.005",process="0"} 2.0' in text
    assert 'gateway_confirm_latency_seconds_bucket{le="0.5",process="0"} 4.0' in text
    assert 'gateway_confirm_latency_seconds_bucket{le="+Inf",process="0"} 5.0' in text
    assert len(histogram.counts) == len(LATENCY_BUCKETS_S) + 1


def test_what_nobody_subscribed_to_is_counted_by_documented_name():
    control = Control(Host(FakeFleet(shard(0)), "gateway@here", print))
    control.host.unrouted = {"TYPING_START": 7, "MADE_UP": 2, "MADE_UP_TOO": 1}
    text = exposition(control).decode()

    assert 'gateway_unrouted_messages{event="TYPING_START"} 7.0' in text
    assert 'gateway_unrouted_messages{event="other"} 3.0' in text
    assert "MADE_UP" not in text


def test_what_several_processes_counted_is_added_up():
    reconnects = {("closed", "1001"): 2, ("too_long", "none"): 1}
    text = exposed(shard(0), shard(1), processes=[process(each, [each], reconnects=reconnects) for each in (0, 1)])

    assert 'gateway_reconnects_total{cause="closed",code="1001"} 4.0' in text
    assert 'gateway_reconnects_total{cause="too_long",code="none"} 2.0' in text


def test_what_a_process_counted_stays_while_it_has_no_child():
    text = exposed(shard(0), processes=[process(0, [0], "BACKOFF", reconnects={("session_invalid", "none"): 3})])

    assert 'gateway_reconnects_total{cause="session_invalid",code="none"} 3.0' in text


@pytest.mark.parametrize(("cause", "code"), [("session_invalid", "none"), ("closed", "4007"), ("closed", "4009")])
def test_what_an_alert_counts_begins_at_zero(cause, code):
    assert f'gateway_reconnects_total{{cause="{cause}",code="{code}"}} 0.0' in exposed(shard(0))


def test_no_label_can_grow_without_bound():
    labels = {label for metric in METRICS.values() for label in metric.labels}

    assert labels == {"shard", "process", "cause", "code", "op", "outcome", "operation", "queue", "rung", "event"}
