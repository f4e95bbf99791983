import pytest

from gateway_service.flower.answers import all_of, hosts_of, missing_of, refused

DONE = {"host": "gateway@a", "result": {}, "failures": [], "shard_ids": [0, 1]}
REFUSED = {"error": {"code": "too_large", "message": "x", "host": "gateway@b"}, "shard_ids": [2, 3]}
UNKNOWN = {"error": {"code": "unknown_shard", "message": "y", "host": "gateway@b"}, "shard_ids": [2, 3]}


def test_who_refuses_has_answered():
    assert hosts_of([DONE, REFUSED]) == {"gateway@a", "gateway@b"}
    assert all_of(frozenset({"gateway@a"}))([DONE])
    assert not all_of(frozenset({"gateway@a", "gateway@b"}))([DONE])


@pytest.mark.parametrize(
    ("answers", "missing"),
    [([], {1, 2, 9}), ([DONE], {2, 9}), ([DONE, REFUSED], {9}), ([UNKNOWN], set())],
    ids=["nobody", "one host", "all hosts", "no such shard"],
)
def test_a_shard_is_missing_when_nobody_answered_for_it(answers, missing):
    assert missing_of(frozenset({1, 2, 9}), answers) == missing


def test_a_refusal_and_a_failure_in_an_answer_are_told_alike():
    failure = {"code": "not_ready", "message": "z", "shard_id": 1}

    assert refused([DONE | {"failures": [failure]}, REFUSED]) == [failure, REFUSED["error"]]
