"""What a process finds in the store when it starts."""

from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.shard.stored import load_stored


def session(seq):
    return Session(
        session_id="one",
        resume_gateway_url="wss://discord.example",
        seq=seq,
        shard_id=0,
        num_shards=2,
        intents=1,
        guilds=GuildSnapshot(),
    )


def ledger(seq, **changes):
    defaults = {"shard_id": 0, "num_shards": 2, "opened_at": 1.0, "first_seq": 1, "heard_at": 2.0}
    return SessionLedger(session="one", seq=seq, received=seq, published=seq, **{**defaults, **changes})


class StoreInUse:
    """A store that another process writes to whenever the ledgers were read, as often as it is told."""

    def __init__(self, writes):
        self._writes = writes
        self.seq = 10
        self.others = [ledger(5, shard_id=1), ledger(5, num_shards=4)]

    def load(self, shard_id):
        return session(self.seq) if shard_id == 0 else None

    def ledgers(self):
        found = [ledger(self.seq), *self.others]
        if self._writes:
            self._writes -= 1
            self.seq += 7
        return found


def test_a_session_and_its_ledger_go_to_the_same_number_though_somebody_writes_both():
    sessions, [own] = load_stored(StoreInUse(writes=3), 2, (0,))

    assert sessions[0].seq == own.seq == 31


def test_only_what_concerns_the_shards_is_read():
    store = StoreInUse(writes=0)
    sessions, ledgers = load_stored(store, 2, (0, 1))

    assert (sessions, ledgers) == ({0: session(10)}, [ledger(10), store.others[0]])


def test_without_anything_stored_there_is_nothing():
    store = StoreInUse(writes=0)

    assert load_stored(store, 2, (3,)) == ({}, [])
