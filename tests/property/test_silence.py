"""The silence detector over days that nobody wrote down."""

import pytest

from gateway_service.supervisor.silence import Cure
from tests.unit.supervisor.test_silence import WINDOWS_A_DAY, Fleet


@pytest.mark.parametrize("rate", [0.02, 0.3, 3.0])
@pytest.mark.parametrize(("shards", "days"), [(1, 2), (3, 1)])
def test_chance_alone_makes_no_false_alarm_in_days(shards, days, rate):
    assert Fleet(*[rate] * shards, seed=7).run(days * WINDOWS_A_DAY).cures == []


def night(window):
    """Return the activity of people who sleep from one moment to the next, for eight hours a day."""
    return 0.0 if window % WINDOWS_A_DAY >= WINDOWS_A_DAY * 2 // 3 else 1.0


@pytest.mark.parametrize("rate", [0.3, 3.0])
def test_a_bot_whose_people_sleep_costs_at_most_one_new_session_in_four_days(rate):
    fleet = Fleet(rate, seed=3).run(4 * WINDOWS_A_DAY, night)

    assert [cure for _, cure in fleet.cures].count(Cure.IDENTIFY) <= 1
    assert len(fleet.cures) <= 3
