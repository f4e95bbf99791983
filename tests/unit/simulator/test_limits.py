import pytest

from gateway_service.simulator.limits import DAY_S, AllMembersLimit, IdentifyBudget, IdentifyPacing, SlidingWindow


def test_a_sliding_window_counts_the_refused_too():
    window = SlidingWindow(2, 10.0)
    assert [window.take(0.0), window.take(1.0), window.take(9.0), window.take(10.5), window.take(20.0)] == [
        True,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(("later_s", "accepted"), [(4.999, False), (5.0, True)])
def test_a_key_identifies_once_per_window(later_s, accepted):
    pacing = IdentifyPacing(16, 5.0)
    assert pacing.take(3, 100.0)
    assert pacing.take(19, 100.0 + later_s) is accepted


def test_a_refused_identify_does_not_prolong_the_window():
    pacing = IdentifyPacing(1, 5.0)
    assert [pacing.take(0, at) for at in (0.0, 4.0, 5.0)] == [True, False, True]


def test_a_window_of_zero_accepts_all():
    pacing = IdentifyPacing(1, 0.0)
    assert pacing.take(0, 1.0)
    assert pacing.take(0, 1.0)


def test_the_budget_renews_a_day_after_the_first_start():
    budget = IdentifyBudget(2, 2)
    assert budget.reset_after_ms(50.0) == 0
    assert [budget.take(100.0), budget.take(200.0), budget.take(300.0)] == [True, True, False]
    assert budget.reset_after_ms(100.0 + DAY_S - 1) == 1000
    assert budget.take(100.0 + DAY_S)
    assert budget.remaining == 1


def test_all_members_are_limited_per_guild():
    limit = AllMembersLimit()
    assert [limit.retry_after_s(1, 0.0), limit.retry_after_s(2, 1.0), limit.retry_after_s(1, 12.0)] == [0, 0, 18.0]
    assert limit.retry_after_s(1, 30.0) == 0
