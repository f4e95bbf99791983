"""What every state store does; a subclass says how to open one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state import Forgotten, IdentifyRecord, KeyBusy, Namespace, Outdated, State, Taken, open_state
from gateway_service.state.limits import HELD_S

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
        state.save([], forgotten=[Forgotten(0, 0)])

        assert [self.seen_by_another(BOT).load(0), state.load(1)] == [None, session(1)]

    def test_forgetting_what_is_not_there_is_fine(self):
        self.open(BOT).save([], forgotten=[Forgotten(3, 7)])

    def test_a_session_never_goes_back(self):
        ours, late = self.open(BOT), self.open(BOT)
        ours.save([session(seq=9)])

        assert late.save([session(seq=8), session(1)]) == {0}
        assert [ours.load(0).seq, ours.load(1).seq] == [9, 5]
        assert late.save([session(seq=9)]) == frozenset()

    def test_the_ledger_of_a_session_that_would_go_back_stays_as_well(self):
        ours, late = self.open(BOT), self.open(BOT)
        ours.save([session(seq=9)], ledgers=[ledger("a", seq=9)])
        late.save([session(seq=8)], ledgers=[ledger("a", seq=8), ledger("b", seq=3, ended="lost")])

        assert [(each.session, each.seq) for each in ours.ledgers()] == [("a", 9), ("b", 3)]

    def test_an_older_session_never_takes_the_place_of_a_newer_one(self):
        ours, late = self.open(BOT), self.open(BOT)
        newer = session(session_id="newer", seq=1, permit=8)
        late.save([session(seq=900, permit=7)])

        assert ours.save([newer]) == frozenset()
        assert late.save([session(seq=901, permit=7)]) == {0}
        assert ours.load(0) == newer

    def test_nobody_forgets_a_newer_session_than_the_own_one(self):
        state = self.open(BOT)
        state.save([session(permit=8)])
        state.save([], forgotten=[Forgotten(0, 7)])

        assert state.load(0) == session(permit=8)

    @pytest.mark.parametrize("stranger", [OTHER_BOT, RESHARDED], ids=["bot", "shard count"])
    def test_another_namespace_neither_sees_nor_touches_a_session(self, stranger):
        ours, theirs = self.open(BOT), self.open(stranger)
        ours.save([session()])
        assert theirs.load(0) is None
        theirs.save([session(seq=1)])
        theirs.save([], forgotten=[Forgotten(0, 9)])

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

    def take(self, state, shard_id, max_concurrency=16, known=None):
        """Ask, knowing of every permit so far unless told otherwise."""
        if known is None:
            known = max((each.number for each in state.identifies()), default=0)
        return state.take_permit(shard_id, max_concurrency=max_concurrency, known=known)

    def test_nothing_was_identified_at_first(self):
        assert list(self.open(BOT).identifies()) == []

    def test_every_permit_is_on_record_in_order_and_by_number(self):
        state = self.open(BOT)
        numbers = [self.take(state, shard_id).number for shard_id in (3, 1, 2)]

        seen = self.seen_by_another(BOT).identifies()

        assert [(each.shard_id, each.num_shards) for each in seen] == [(3, 4), (1, 4), (2, 4)]
        assert [each.number for each in seen] == numbers == sorted(set(numbers))
        assert all(0 <= each.age_s < 60 for each in seen)
        assert [each.number for each in state.identifies(numbers[0])] == numbers[1:]
        assert list(state.identifies(numbers[-1])) == []

    def test_permits_belong_to_the_bot_whatever_its_shard_count(self):
        taken = self.take(self.open(BOT), 0, known=0)
        resharded = self.open(RESHARDED)

        assert [(each.num_shards, each.number) for each in resharded.identifies()] == [(4, taken.number)]
        assert isinstance(self.take(resharded, 0), KeyBusy)
        assert list(self.open(OTHER_BOT).identifies()) == []
        assert isinstance(self.take(self.open(OTHER_BOT), 0, known=0), Taken)

    def test_a_key_is_taken_until_its_permit_must_have_been_used(self):
        ours, theirs = self.open(BOT), self.open(BOT)
        self.take(ours, 1)
        busy = self.take(theirs, 17)

        assert HELD_S - 60 < busy.for_s <= HELD_S
        assert isinstance(self.take(theirs, 2), Taken)

    def test_from_its_use_on_only_the_spacing_counts(self):
        ours, theirs = self.open(BOT), self.open(BOT)
        ours.permit_used(1, self.take(ours, 1).number)
        busy = self.take(theirs, 17)

        assert 0 < busy.for_s <= IDENTIFY_SPACING_S

    def test_a_permit_that_is_not_used_frees_its_key_and_stays_on_record(self):
        ours, theirs = self.open(BOT), self.open(BOT)
        ours.permit_unused(1, self.take(ours, 1).number)

        assert isinstance(self.take(theirs, 17), Taken)
        assert len(theirs.identifies()) == 2

    def test_which_shards_share_a_key_is_as_the_asker_knows_it(self):
        state = self.open(BOT)
        self.take(state, 1, max_concurrency=16)

        assert isinstance(self.take(state, 2, max_concurrency=1), KeyBusy)

    def test_who_does_not_know_of_every_permit_gets_none(self):
        ours, theirs = self.open(BOT), self.open(BOT)
        taken = self.take(ours, 1, known=0)

        assert self.take(theirs, 2, known=0) == Outdated()
        assert isinstance(self.take(theirs, 2, known=taken.number), Taken)

    def test_of_all_who_ask_at_the_same_moment_one_gets_the_key(self):
        states = [self.open(BOT), self.open(BOT)] * 8
        with ThreadPoolExecutor(len(states)) as threads:
            answers = list(threads.map(lambda pair: self.take(pair[1], pair[0] * 16, known=0), enumerate(states)))

        assert sum(isinstance(answer, Taken) for answer in answers) == 1
        assert len(self.open(BOT).identifies()) == 1

    def test_what_a_store_lost_is_restored(self):
        ours, theirs = self.open(BOT), self.seen_by_another(BOT)
        records = [IdentifyRecord(10**15, 1, 4, 7.0), IdentifyRecord(10**15 + 1, 2, 8, 3.0)]
        ours.restore(records, {}, {"presence:1": "{}"})
        ours.restore(records, {}, {"presence:1": "[]", "presence:2": "{}"})

        seen = theirs.identifies()

        assert [(each.number, each.shard_id, each.num_shards) for each in seen] == [(10**15, 1, 4), (10**15 + 1, 2, 8)]
        assert theirs.desired() == {"presence:1": "{}", "presence:2": "{}"}

    def test_of_permits_that_were_lost_those_that_are_held_take_their_keys_again(self):
        now, state = self.take(self.open(BOT), 1).number, self.open(OTHER_BOT)
        lost = [IdentifyRecord(now + 1, 1, 4, 1.0), IdentifyRecord(now + 2, 2, 4, 1.0)]
        state.restore(lost, {now + 1: 1}, {})

        assert HELD_S - 60 < self.take(state, 17).for_s <= HELD_S
        assert isinstance(self.take(state, 18), Taken)

    def test_a_store_that_lost_nothing_has_everything_once(self):
        state = self.open(BOT)
        taken = self.take(state, 1)
        state.restore(state.identifies(), {taken.number: 1}, {})
        state.permit_unused(1, taken.number)

        assert len(state.identifies()) == 1
        assert isinstance(self.take(state, 17), Taken)

    def test_a_store_that_begins_anew_goes_on_with_higher_numbers(self):
        first = self.take(self.open(BOT), 1, known=0).number

        assert self.take(self.open(OTHER_BOT), 1, known=first + 10**9).number > first + 10**9


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


class TestRedis(StateContract):
    @pytest.fixture(autouse=True)
    def place(self, valkey_url):
        self.url = valkey_url
        self.opened = []
        yield
        for state in self.opened:
            state.close()

    def open(self, namespace):
        self.opened.append(open_state(self.url, namespace))
        with redis.Redis.from_url(self.url) as client:  # as if everybody had had the time to notice that it is new
            client.zrem(f"gateway:{{{namespace.bot_id}}}:permits", "all")
        return self.opened[-1]
