import pytest

from gateway_service.dev.stack import Totals

TOTALS = Totals(sent=10, published=10, executed=7, duplicates=0, pending=3)


@pytest.mark.parametrize(
    ("waiting", "pending", "lost"),
    [
        (0, 0, 3),
        (2, 2, 1),
        (3, 3, 0),
        (9, 3, 0),  # copies of what ran already wait as well
    ],
)
def test_what_did_not_run_and_waits_nowhere_is_lost(waiting, pending, lost):
    totals = TOTALS.with_waiting(waiting)

    assert (totals.pending, totals.lost) == (pending, lost)
