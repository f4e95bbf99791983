from dataclasses import dataclass

import pytest

from gateway_service.simulator.transcript import Record, Transcript


@dataclass
class FakeSession:
    session_id: str = "s"
    shard_id: int = 0


def identify(at, shard_id):
    return Record(at, 1, "127.0.0.1", "client", "payload", op=2, shard_id=shard_id)


def close(code, side="client", session_id="s"):
    return Record(0.0, 1, "127.0.0.1", side, "close", code=code, session_id=session_id)


@pytest.fixture
def transcript():
    return Transcript(100)


def deliver(transcript, seqs, *, connection=1, session=None):
    for seq in seqs:
        transcript.add_dispatch(0.0, connection, "127.0.0.1", session or FakeSession(), seq)


def test_a_run_of_dispatches_is_one_record(transcript):
    deliver(transcript, range(1, 1001))
    [record] = transcript
    assert (record.first_seq, record.last_seq) == (1, 1000)


def test_another_connection_or_session_or_a_gap_starts_a_run(transcript):
    deliver(transcript, [1, 2])
    deliver(transcript, [3], connection=2)
    deliver(transcript, [1], connection=2, session=FakeSession("other"))
    deliver(transcript, [3])
    deliver(transcript, [5])
    assert [(record.first_seq, record.last_seq) for record in transcript] == [(1, 3), (3, 3), (1, 1), (5, 5)]


def test_a_closed_connection_ends_its_run(transcript):
    deliver(transcript, [1])
    transcript.add(close(4000))
    deliver(transcript, [2])
    assert len(transcript) == 3


def test_the_oldest_records_make_room():
    transcript = Transcript(2)
    for at in range(3):
        transcript.add(identify(float(at), 0))
    assert [record.at for record in transcript] == [1.0, 2.0]
    assert transcript.forgotten == 1


@pytest.mark.parametrize(
    "check",
    [
        lambda t: t.assert_identifies_paced(max_concurrency=1, window_s=5),
        Transcript.assert_sessions_kept,
        Transcript.assert_no_violations,
        Transcript.assert_every_seq_delivered,
    ],
)
def test_an_incomplete_transcript_is_not_judged(check):
    transcript = Transcript(1)
    transcript.add(identify(0.0, 0))
    transcript.add(identify(9.0, 0))
    with pytest.raises(AssertionError, match="forgotten"):
        check(transcript)


def test_identifies_of_one_key_are_paced(transcript):
    for at, shard_id in [(0.0, 0), (0.1, 1), (5.0, 2), (5.2, 3)]:
        transcript.add(identify(at, shard_id))
    transcript.assert_identifies_paced(max_concurrency=2, window_s=5)
    with pytest.raises(AssertionError, match=r"shard 1 identified 0\.100 s after"):
        transcript.assert_identifies_paced(max_concurrency=1, window_s=5)


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_client_must_not_end_its_session(transcript, code):
    transcript.add(close(code))
    with pytest.raises(AssertionError, match=str(code)):
        transcript.assert_sessions_kept()


@pytest.mark.parametrize("harmless", [close(4000), close(1000, side="server"), close(1000, session_id=None)])
def test_other_closes_keep_the_session(transcript, harmless):
    transcript.add(harmless)
    transcript.assert_sessions_kept()


def test_a_violation_is_told(transcript):
    transcript.assert_no_violations()
    transcript.add(Record(0.0, 1, "h", "client", "violation", data="4002 bad", shard_id=3))
    with pytest.raises(AssertionError, match="shard 3: 4002 bad"):
        transcript.assert_no_violations()


def test_every_seq_may_be_delivered_over_several_connections(transcript):
    deliver(transcript, [1, 2, 3])
    deliver(transcript, [2, 3, 4, 5], connection=2)
    transcript.assert_every_seq_delivered()


def test_a_seq_that_was_never_delivered_is_told(transcript):
    deliver(transcript, [1, 2])
    deliver(transcript, [5], connection=2)
    with pytest.raises(AssertionError, match="3 to 4 were never delivered"):
        transcript.assert_every_seq_delivered()


def test_a_record_as_json_has_only_what_it_knows():
    assert close(4000).to_json() == {
        "at": 0.0,
        "connection": 1,
        "host": "127.0.0.1",
        "side": "client",
        "kind": "close",
        "session_id": "s",
        "code": 4000,
    }
