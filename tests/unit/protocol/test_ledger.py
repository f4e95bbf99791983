"""The ledger as a value: when it balances, and what it says when it does not."""

import dataclasses

import pytest

from gateway_service.protocol.ledger import SessionLedger

BALANCED = SessionLedger(
    session="a",
    shard_id=0,
    num_shards=1,
    opened_at=1.0,
    first_seq=1,
    seq=20,
    heard_at=2.0,
    received=18,
    published=10,
    filtered=1,
    given_up=1,
    spooled=3,
    in_flight=2,
    lost=1,
    missing=2,
    unsent_gaps=({"first_seq": 5},),
)


def test_a_ledger_whose_numbers_agree_has_no_fault():
    assert BALANCED.faults() == ()


def test_a_dispatch_that_is_nowhere_is_a_fault():
    (fault,) = dataclasses.replace(BALANCED, published=9).faults()

    assert fault == "18 dispatches were received and 17 are accounted for"


def test_the_sequence_numbers_contradict_a_count_that_missed_one():
    (fault,) = dataclasses.replace(BALANCED, received=17, published=9).faults()

    assert fault == ("the sequence numbers 1 to 20 without 2 missing ones make 18 dispatches and 17 were counted")


def test_a_count_below_nothing_is_a_fault():
    assert len(dataclasses.replace(BALANCED, in_flight=-1, published=13).faults()) == 1


def test_it_comes_back_from_its_text_as_it_was():
    assert SessionLedger.from_json(BALANCED.to_json()) == BALANCED


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"unsent_gaps":[]}', "x"])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        SessionLedger.from_json(text)


def test_an_ended_session_is_settled_when_nothing_of_it_is_on_its_way():
    ended = dataclasses.replace(BALANCED, ended="op 9", spooled=0, in_flight=0, unsent_gaps=())

    assert (ended.is_settled, dataclasses.replace(ended, spooled=1).is_settled, BALANCED.is_settled) == (
        True,
        False,
        False,
    )
