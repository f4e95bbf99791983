import time

from prometheus_client import CollectorRegistry, generate_latest

from gateway_service.worker.ages import Ages
from gateway_service.worker.exposition import WorkerCollector
from gateway_service.worker.lateness import Lateness


def test_prometheus_reads_cumulative_buckets():
    lateness = Lateness()
    for age_s in (0.2, 2.4, 60.0):
        lateness.observe(age_s)
    lateness.expire()
    registry = CollectorRegistry()
    registry.register(WorkerCollector(Ages(), lateness))

    text = generate_latest(registry).decode()

    assert 'gateway_interaction_lateness_seconds_bucket{le="0.1"} 0.0' in text
    assert 'gateway_interaction_lateness_seconds_bucket{le="2.5"} 2.0' in text
    assert 'gateway_interaction_lateness_seconds_bucket{le="+Inf"} 3.0' in text
    assert "gateway_interaction_lateness_seconds_sum 62.6" in text
    assert "gateway_interactions_expired_total 1.0" in text


def test_prometheus_reads_how_old_dispatches_are():
    ages = Ages()
    ages.observe(time.time() - 30.0)
    ages.observe(time.time() + 5.0)  # of a host whose clock is ahead
    ages.observe(None)
    registry = CollectorRegistry()
    registry.register(WorkerCollector(ages, Lateness()))

    text = generate_latest(registry).decode()

    assert "gateway_dispatch_age_seconds_count 2.0" in text
    assert 30.0 <= ages.sum_s < 60.0
