"""The ladder as decisions."""

import pytest

from gateway_service.publisher.rungs import SPOOL_AFTER_S, Rung, is_lower, lowest, rung_of, should_spool

CALM = {"is_suspended": False, "spool_rows": 0, "pending": 0, "is_broker_up": True, "confirm_lag_s": 0.0}


@pytest.mark.parametrize(
    ("given", "rung"),
    [
        ({}, Rung.CONFIRMING),
        ({"pending": 5, "confirm_lag_s": 0.2}, Rung.CONFIRMING),
        ({"pending": 5, "confirm_lag_s": 1.0}, Rung.LAGGING),
        ({"is_broker_up": False}, Rung.CONFIRMING),
        ({"is_broker_up": False, "pending": 1, "confirm_lag_s": 0.9}, Rung.CONFIRMING),
        ({"is_broker_up": False, "pending": 1, "confirm_lag_s": 1.0}, Rung.MEMORY),
        ({"is_broker_up": False, "pending": 1, "confirm_lag_s": 9.0, "spool_rows": 1}, Rung.SPOOL),
        ({"spool_rows": 1}, Rung.SPOOL),
        ({"spool_rows": 1, "is_suspended": True}, Rung.SUSPENDED),
    ],
    ids=str,
)
def test_each_trouble_has_its_rung(given, rung):
    assert rung_of(**{**CALM, **given}) is rung


def test_the_lowest_rung_of_shards_is_that_of_their_process():
    assert lowest([Rung.SPOOL, Rung.CONFIRMING, Rung.LAGGING]) is Rung.SPOOL
    assert lowest([]) is Rung.CONFIRMING


def test_the_rungs_are_in_order():
    assert is_lower(Rung.SUSPENDED, Rung.SPOOL)
    assert not is_lower(Rung.MEMORY, Rung.MEMORY)


@pytest.mark.parametrize(
    ("pending_bytes", "stalled_s", "expected"),
    [(0, 100.0, False), (49, 1.0, False), (50, 0.0, True), (1, SPOOL_AFTER_S, True)],
)
def test_the_disk_is_used_when_the_memory_is_half_full_or_the_broker_stalls(pending_bytes, stalled_s, expected):
    assert should_spool(pending_bytes=pending_bytes, max_bytes=100, stalled_s=stalled_s) is expected
