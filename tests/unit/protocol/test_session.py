import dataclasses

import pytest

from gateway_service.protocol.session import Session, can_resume


def test_a_session_survives_json(stored_session):
    assert Session.from_json(stored_session.to_json()) == stored_session


def test_the_session_id_is_not_shown(stored_session):
    assert "stored" not in repr(stored_session)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"session_id": "x"}', b"\xff", '{"session_id":"x","guilds":[]}']
)
def test_a_text_that_is_no_session_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors are allowed, too
        Session.from_json(text)


def test_a_number_that_is_none_is_refused(stored_session):
    text = stored_session.to_json().replace(f'"seq":{stored_session.seq}', '"seq":1e999')

    with pytest.raises(ValueError, match="not a stored session"):
        Session.from_json(text)


def test_an_unknown_compression_is_refused(stored_session):
    text = dataclasses.replace(stored_session, compression="lz4").to_json()

    with pytest.raises(ValueError, match="not a stored session"):
        Session.from_json(text)


def test_the_same_shard_and_intents_may_resume(stored_session):
    assert can_resume(stored_session, shard_id=1, num_shards=4, intents=513)


@pytest.mark.parametrize("other", [{"shard_id": 2}, {"num_shards": 8}, {"intents": 1}])
def test_another_shard_count_or_intents_may_not_resume(stored_session, other):
    assert not can_resume(stored_session, **{"shard_id": 1, "num_shards": 4, "intents": 513, **other})
