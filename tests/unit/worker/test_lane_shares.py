"""Workers that decide for themselves come to hold equally many lanes."""

import random

import pytest

from gateway_service.worker.lane_shares import LaneState, Moves, share_out

FREE, TAKEN = LaneState(consumers=0), LaneState(consumers=1)


def lanes(*taken, count=8):
    return {f"lane-{number}": TAKEN if number in taken else FREE for number in range(count)}


def test_the_only_worker_takes_every_lane():
    assert set(share_out([], lanes(), 1, 0.3).take) == set(lanes())


def test_a_second_worker_waits_until_lanes_are_free():
    assert share_out([], lanes(*range(8)), 2, 0.3) == Moves()


def test_a_worker_leaves_what_is_beyond_its_share():
    moves = share_out(list(lanes()), lanes(*range(8)), 2, 0.0)

    assert moves == Moves(leave=("lane-4", "lane-5", "lane-6", "lane-7"))


def test_a_worker_takes_no_more_than_its_share():
    assert len(share_out(["lane-0"], lanes(0), 3, 0.9).take) == 2


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8, 11])
def test_workers_come_to_equal_shares_and_then_rest(workers):
    rng = random.Random(workers)
    held = [set(lanes()), *(set() for _ in range(workers - 1))]

    for _ in range(20):
        for mine in held:
            taken = {name for each in held for name in each}
            state = {name: TAKEN if name in taken else FREE for name in lanes()}
            moves = share_out(mine, state, workers, rng.random())
            mine |= set(moves.take)
            mine -= set(moves.leave)

    assert sum(map(len, held)) == 8
    assert max(map(len, held)) == -(-8 // workers)
