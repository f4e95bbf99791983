"""The silence detector over simulated days of windows."""

import random
from math import exp

import pytest

from gateway_service.supervisor.silence import MIN_HISTORY, REST, Cure, SilenceDetector

WINDOWS_A_DAY = 2880


class Fleet:
    """Shards whose traffic comes by chance, and what the detector wants done about them."""

    def __init__(self, *per_window, seed=1):
        self.per_window = list(per_window)
        self.heard = dict.fromkeys(range(len(per_window)), 0)
        self.deaf = set()
        self.away = set()
        self.cures = []
        self.ended = []
        self.detector = SilenceDetector()
        self.rng = random.Random(seed)
        self.healing = {}
        """Shard -> the cure that helps it."""

    def run(self, windows, activity=lambda _window: 1.0):
        for window in range(windows):
            for shard_id, rate in enumerate(self.per_window):
                if shard_id not in self.deaf and self.rng.random() > exp(-rate * activity(window)):
                    self.heard[shard_id] += 1
            self.detector.look({each: None if each in self.away else count for each, count in self.heard.items()})
            if (ended := self.detector.ended()) is not None:
                self.ended.append(ended)
            if (cure := self.detector.next_cure()) is not None:
                self.cures.append(cure)
                self.detector.began(*cure)
                if self.healing.get(cure[0]) is cure[1]:
                    self.deaf.discard(cure[0])
        return self


def windows_until(fleet, cures, limit=200):
    for window in range(limit):
        if len(fleet.cures) >= cures:
            return window
        fleet.run(1)
    raise AssertionError("nothing was found")


def test_a_deaf_shard_among_others_is_found_within_minutes_and_resumed():
    fleet = Fleet(10.0, 10.0, 10.0).run(800)
    fleet.deaf = {1}
    fleet.healing = {1: Cure.RESUME}

    assert windows_until(fleet, 1) <= 5
    fleet.run(2)
    assert (fleet.cures, fleet.ended) == ([(1, Cure.RESUME)], [(1, True)])


def test_what_a_resume_does_not_cure_gets_a_new_session():
    fleet = Fleet(10.0, 10.0, 10.0).run(800)
    fleet.deaf = {1}
    fleet.healing = {1: Cure.IDENTIFY}

    assert windows_until(fleet, 2) <= 10
    fleet.run(800)
    assert fleet.cures == [(1, Cure.RESUME), (1, Cure.IDENTIFY)]
    assert fleet.detector.counts == {"resume": 1, "identify": 1, "healed": 1, "given_up": 0}


def test_what_nothing_cures_is_left_alone_for_a_day():
    fleet = Fleet(10.0, 10.0, 10.0).run(800)
    fleet.deaf = {1}
    fleet.run(REST)

    assert (len(fleet.cures), fleet.ended) == (2, [(1, False)])
    assert "a new session did not help" in fleet.detector.reason(1)


def test_one_shard_is_cured_at_a_time():
    fleet = Fleet(*[10.0] * 8).run(800)
    fleet.deaf = {1, 2}
    fleet.healing = {1: Cure.IDENTIFY, 2: Cure.RESUME}
    fleet.run(40)

    assert fleet.cures == [(1, Cure.RESUME), (1, Cure.IDENTIFY), (2, Cure.RESUME)]


def test_a_bot_of_one_shard_is_judged_by_its_own_past_and_later():
    fleet = Fleet(10.0).run(800)
    fleet.deaf = {0}
    fleet.healing = {0: Cure.RESUME}

    assert 10 <= windows_until(fleet, 1) <= 20


def test_a_shard_is_judged_soon_after_its_start():
    fleet = Fleet(10.0, 10.0).run(MIN_HISTORY + 1)
    fleet.deaf = {1}

    assert windows_until(fleet, 1) <= 10


@pytest.mark.parametrize("windows", [1, MIN_HISTORY])
def test_without_a_past_nobody_is_judged(windows):
    fleet = Fleet(10.0, 10.0).run(windows)
    fleet.deaf = {1}

    assert fleet.run(200).cures == []


def test_a_shard_that_never_had_traffic_is_never_deaf():
    assert Fleet(0.0, 10.0).run(WINDOWS_A_DAY).cures == []


def test_when_all_are_silent_one_new_session_is_proof_enough():
    fleet = Fleet(*[10.0] * 8).run(800)
    fleet.deaf = set(range(8))
    fleet.run(400)

    assert fleet.cures == [(0, Cure.RESUME), (0, Cure.IDENTIFY)]


def test_when_all_are_deaf_the_first_that_is_healed_is_the_witness_for_the_others():
    fleet = Fleet(*[10.0] * 4).run(800)
    fleet.deaf = set(range(4))
    fleet.healing = dict.fromkeys(range(4), Cure.IDENTIFY)
    fleet.run(300)

    assert fleet.deaf == set()
    assert len(fleet.cures) == 8


def test_a_shard_without_a_connection_is_not_silent():
    fleet = Fleet(10.0, 10.0).run(100)
    fleet.away = {1}

    assert fleet.run(WINDOWS_A_DAY).cures == []


def test_a_cure_of_a_shard_that_went_away_holds_up_no_other():
    fleet = Fleet(*[10.0] * 4).run(800)
    fleet.deaf = {1, 2}
    windows_until(fleet, 1)
    fleet.away = {1}
    fleet.run(20)

    assert (2, Cure.RESUME) in fleet.cures


def test_a_slow_evening_is_no_alarm():
    def evening(window):
        return 1.0 - 0.95 * (window % WINDOWS_A_DAY) / WINDOWS_A_DAY

    assert Fleet(6.0, 6.0, 2.0, seed=5).run(WINDOWS_A_DAY, evening).cures == []
