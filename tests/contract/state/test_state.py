"""What every state store does; a subclass says how to open one."""

import pytest

from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state import Namespace, State, open_state

BOT = Namespace("100", 4)
OTHER_BOT = Namespace("200", 4)
RESHARDED = Namespace("100", 8)


def session(shard_id=0, **changes):
    defaults = {
        "session_id": f"session-of-{shard_id}",
        "resume_gateway_url": "wss://resume.discord.gg",
        "seq": 5,
        "shard_id": shard_id,
        "num_shards": 4,
        "intents": 513,
        "guilds": GuildSnapshot(known=frozenset({2**63}), awaited=frozenset({1, 2}), unavailable=frozenset()),
    }
    return Session(**{**defaults, **changes})


def ledger(name, **changes):
    defaults = {"shard_id": 0, "num_shards": 4, "opened_at": 1.0, "first_seq": 1, "seq": 9, "heard_at": 2.5}
    return SessionLedger(session=name, **{**defaults, **changes})


class StateContract:
    def open(self, namespace: Namespace) -> State:
        """Open the one store of this test, again and again."""
        raise NotImplementedError

    def seen_by_another(self, namespace: Namespace) -> State:
        """Open it as another process would, after everything before was written."""
        return self.open(namespace)

    def test_what_is_desired_is_kept_for_the_bot_at_any_shard_count(self):
        state = self.open(BOT)
        state.desire({"presence:0": '{"status":"idle"}', "voice:1": "{}", "voice:2": "{}"})
        state.desire({"voice:1": None, "voice:2": "[]", "voice:3": None})

        assert self.seen_by_another(RESHARDED).desired() == {"presence:0": '{"status":"idle"}', "voice:2": "[]"}
        assert self.open(OTHER_BOT).desired() == {}

    def test_an_unknown_shard_has_no_session(self):
        assert self.open(BOT).load(0) is None

    def test_a_session_comes_back_as_it_was(self):
        self.open(BOT).save([session(3)])

        assert self.seen_by_another(BOT).load(3) == session(3)

    def test_the_newest_session_of_a_shard_counts(self):
        state = self.open(BOT)
        state.save([session(seq=5)])
        state.save([session(seq=9)])

        assert self.seen_by_another(BOT).load(0) == session(seq=9)

    def test_sessions_are_kept_by_shard(self):
        state = self.open(BOT)
        state.save([session(0), session(1, seq=7)])

        assert [state.load(0), state.load(1), state.load(2)] == [session(0), session(1, seq=7), None]

    def test_saving_nothing_changes_nothing(self):
        state = self.open(BOT)
        state.save([session()])
        state.save([])

        assert state.load(0) == session()

    def test_a_forgotten_session_is_gone(self):
        state = self.open(BOT)
        state.save([session(0), session(1)])
        state.save([], forgotten=[0])

        assert [self.seen_by_another(BOT).load(0), state.load(1)] == [None, session(1)]

    def test_forgetting_what_is_not_there_is_fine(self):
        self.open(BOT).save([], forgotten=[3])

    @pytest.mark.parametrize("stranger", [OTHER_BOT, RESHARDED], ids=["bot", "shard count"])
    def test_another_namespace_neither_sees_nor_touches_a_session(self, stranger):
        ours, theirs = self.open(BOT), self.open(stranger)
        ours.save([session()])
        assert theirs.load(0) is None
        theirs.save([session(seq=1)])
        theirs.save([], forgotten=[0])

        assert ours.load(0) == session()

    def test_a_ledger_comes_back_as_it_was(self):
        gap = {"session": "a", "first_seq": 3, "guild_ids": ["1"]}
        stored = ledger("a", received=9, published=7, spooled=2, spooled_from=8, spooled_to=9, unsent_gaps=(gap,))
        self.open(BOT).save([], ledgers=[stored])

        assert self.seen_by_another(BOT).ledgers() == [stored]

    def test_session_and_ledger_are_saved_together_and_the_newest_counts(self):
        state = self.open(BOT)
        state.save([session(seq=5)], ledgers=[ledger("a", seq=5)])
        state.save([session(seq=9)], ledgers=[ledger("a", seq=9)])

        assert (state.load(0).seq, [each.seq for each in state.ledgers()]) == (9, [9])

    def test_ledgers_come_by_shard_and_age(self):
        state = self.open(BOT)
        state.save(
            [], ledgers=[ledger("c", shard_id=1), ledger("b", opened_at=9.0), ledger("a", opened_at=8.0, ended="op 9")]
        )

        assert [each.session for each in state.ledgers()] == ["a", "b", "c"]

    def test_the_ledgers_belong_to_the_bot_whatever_its_shard_count(self):
        self.open(BOT).save([], ledgers=[ledger("a")])

        assert [each.session for each in self.open(RESHARDED).ledgers()] == ["a"]
        assert self.open(OTHER_BOT).ledgers() == []

    def test_of_many_ended_sessions_the_newest_twenty_are_kept(self):
        state = self.open(BOT)
        for number in range(25):
            state.save([], ledgers=[ledger(f"s{number}", opened_at=float(number), ended="op 9")])

        assert [each.session for each in state.ledgers()] == [f"s{number}" for number in range(5, 25)]

    def test_nothing_was_identified_at_first(self):
        assert list(self.open(BOT).identifies()) == []

    def test_every_identify_is_known_in_order_and_by_number(self):
        state = self.open(BOT)
        numbers = [state.record_identify(0, 1000.25), state.record_identify(1, 999.0), state.record_identify(0, 1005.5)]

        seen = self.seen_by_another(BOT).identifies()

        assert [(each.shard_id, each.num_shards, each.sent_at) for each in seen] == [
            (0, 4, 1000.25),
            (1, 4, 999.0),
            (0, 4, 1005.5),
        ]
        assert [each.number for each in seen] == numbers == sorted(numbers)

    def test_what_is_known_already_is_not_told_again(self):
        state = self.open(BOT)
        first = state.record_identify(0, 1000.0)
        second = state.record_identify(0, 1001.0)

        assert [each.number for each in state.identifies(first)] == [second]
        assert list(state.identifies(second)) == []

    def test_a_time_can_be_set_right(self):
        state = self.open(BOT)
        number = state.record_identify(0, 1000.0)
        state.correct_identify(number, 1003.0)

        assert [each.sent_at for each in self.seen_by_another(BOT).identifies()] == [1003.0]

    def test_identifies_belong_to_the_bot_whatever_its_shard_count(self):
        self.open(BOT).record_identify(0, 1000.0)

        assert [each.num_shards for each in self.open(RESHARDED).identifies()] == [4]
        assert list(self.open(OTHER_BOT).identifies()) == []


class TestSqlite(StateContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "state.db"
        self.opened = []
        yield
        for state in self.opened:
            state.close()

    def open(self, namespace):
        self.opened.append(open_state(f"sqlite:///{self.path}", namespace))
        return self.opened[-1]
