"""What every state store does; a subclass says how to open one."""

import pytest

from gateway_service.protocol.guilds import GuildSnapshot
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
        state.forget(0)

        assert [self.seen_by_another(BOT).load(0), state.load(1)] == [None, session(1)]

    def test_forgetting_what_is_not_there_is_fine(self):
        self.open(BOT).forget(3)

    @pytest.mark.parametrize("stranger", [OTHER_BOT, RESHARDED], ids=["bot", "shard count"])
    def test_another_namespace_neither_sees_nor_touches_a_session(self, stranger):
        ours, theirs = self.open(BOT), self.open(stranger)
        ours.save([session()])
        assert theirs.load(0) is None
        theirs.save([session(seq=1)])
        theirs.forget(0)

        assert ours.load(0) == session()

    def test_no_key_was_used_at_first(self):
        assert dict(self.open(BOT).last_sent()) == {}

    def test_the_last_use_of_each_key_is_known(self):
        state = self.open(BOT)
        state.record(0, 1000.25)
        state.record(1, 1001.0)
        state.record(0, 1005.5)

        assert dict(self.seen_by_another(BOT).last_sent()) == {0: 1005.5, 1: 1001.0}

    def test_an_earlier_use_does_not_replace_a_later_one(self):
        state = self.open(BOT)
        state.record(0, 1005.0)
        state.record(0, 1000.0)

        assert dict(state.last_sent()) == {0: 1005.0}

    def test_the_uses_belong_to_the_bot_whatever_its_shard_count(self):
        self.open(BOT).record(0, 1000.0)

        assert dict(self.open(RESHARDED).last_sent()) == {0: 1000.0}
        assert dict(self.open(OTHER_BOT).last_sent()) == {}


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
