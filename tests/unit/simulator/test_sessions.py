import pytest

from gateway_service.simulator.sessions import Session


class Reader:
    def __init__(self):
        self.heard = []

    def wake(self):
        self.heard.append("wake")

    def superseded(self):
        self.heard.append("superseded")


def make_session(**limits):
    settings = {"replay_capacity": 100, "replay_max_bytes": 10_000_000, "replay_ttl_s": 60.0} | limits
    return Session(session_id="s", shard_id=0, num_shards=1, number=0, intents=0, **settings)


def fill(session, count, *, at=0.0, body=b"1", sent=True):
    for _ in range(count):
        session.append("EVENT", body, at)
    if sent:
        session.cursor = session.sent_seq = session.last_seq


def test_seq_counts_from_one():
    session = make_session()
    assert [session.append("A", b"1", 0.0), session.append("B", b"2", 0.0)] == [1, 2]
    assert session.text(2) == b'{"t":"B","s":2,"op":0,"d":2}'
    assert session.entry(1).event == "A"


def test_the_backlog_is_what_was_never_on_a_wire():
    session = make_session()
    fill(session, 3)
    fill(session, 2, sent=False)
    session.cursor = 1
    assert session.backlog == 2


@pytest.mark.parametrize(
    ("seq", "possible"), [(-1, False), (0, False), (49, False), (50, True), (150, True), (151, False)]
)
def test_replay_reaches_back_as_far_as_the_capacity(seq, possible):
    session = make_session(replay_capacity=100)
    fill(session, 150)
    assert session.can_replay_after(seq) is possible


def test_replay_is_bounded_in_bytes():
    session = make_session(replay_max_bytes=100_000)
    fill(session, 200, body=b"x" * 1000)
    assert session.buffered_bytes <= 100_000
    assert session.can_replay_after(session.last_seq - 80)
    assert not session.can_replay_after(session.last_seq - 90)


def test_sent_dispatches_age():
    session = make_session(replay_ttl_s=60)
    fill(session, 1, at=0.0)
    fill(session, 1, at=50.0)
    fill(session, 1, at=100.0)
    assert session.floor == 1


def test_unsent_dispatches_do_not_age():
    session = make_session(replay_ttl_s=60)
    fill(session, 2, at=0.0, sent=False)
    fill(session, 1, at=1000.0, sent=False)
    assert session.floor == 0


def test_nothing_ages_while_the_client_is_away():
    session, reader = make_session(replay_ttl_s=60), Reader()
    session.attach(reader)
    fill(session, 2, at=0.0)
    session.detach(reader, 30.0)
    fill(session, 1, at=1000.0, sent=False)
    assert session.floor == 0


def test_trimming_keeps_what_was_not_sent():
    session = make_session()
    fill(session, 5)
    fill(session, 5, sent=False)
    session.trim(9)
    assert session.floor == 5


def test_the_reader_is_woken():
    session, reader = make_session(), Reader()
    session.attach(reader)
    fill(session, 1)
    assert reader.heard == ["wake"]


def test_a_second_reader_supersedes_the_first():
    session, first, second = make_session(), Reader(), Reader()
    session.attach(first)
    session.attach(second)
    session.detach(first, 5.0)
    assert first.heard == ["superseded"]
    assert session.listener is second
    assert session.detached_at is None


def test_a_session_remembers_since_when_it_is_alone():
    session, reader = make_session(), Reader()
    session.attach(reader)
    session.detach(reader, 5.0)
    assert session.detached_at == 5.0


@pytest.mark.parametrize(("until_resume", "after"), [(True, 0b111), (False, 0b001)])
def test_lost_intents_come_back_with_a_resume_only_when_asked_to(until_resume, after):
    session = make_session()
    session.intents = 0b111
    fill(session, 3)
    session.lose_intents(kept=0b011, until_resume=until_resume)
    session.lose_intents(kept=0b001, until_resume=until_resume)
    assert session.intents == 0b001

    session.resume(2)

    assert (session.cursor, session.intents) == (2, after)
