"""The thread that writes sessions, on a store that fails and hangs as it is told."""

import asyncio
import dataclasses
import logging
from contextlib import contextmanager
from threading import Event

import pytest

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.shard.keeper import SessionKeeper
from gateway_service.state import Forgotten

SESSION = Session(
    session_id="a session",
    resume_gateway_url="wss://resume.discord.gg",
    seq=1,
    shard_id=0,
    num_shards=2,
    intents=1,
    guilds=GuildSnapshot(),
)
OTHER = dataclasses.replace(SESSION, shard_id=1)
LEDGER = SessionLedger(session="a", shard_id=0, num_shards=2, opened_at=1.0, first_seq=1, seq=1, heard_at=1.0)


def at(seq):
    return dataclasses.replace(SESSION, seq=seq)


class Store:
    """A session store in memory; counts the tries that began and those that ended."""

    def __init__(self):
        self.sessions = {}
        self.ledgers = {}
        self.began = self.ended = 0
        self.fails = False
        self.forgotten = []
        self.newer = frozenset()
        self.may_go_on = Event()
        self.may_go_on.set()

    def load(self, shard_id):
        return self.sessions.get(shard_id)

    def save(self, sessions, *, forgotten=(), ledgers=()):
        with self._reached():
            for gone in forgotten:
                self.forgotten.append(gone)
                self.sessions.pop(gone.shard_id, None)
            self.sessions.update((session.shard_id, session) for session in sessions)
            self.ledgers.update((ledger.session, ledger) for ledger in ledgers)
            return self.newer

    @contextmanager
    def _reached(self):
        self.began += 1
        assert self.may_go_on.wait(10.0)
        try:
            if self.fails:
                raise StateUnavailable("the store", "the disk is full")
            yield
        finally:
            self.ended += 1


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def keeper(store):
    return SessionKeeper(store)


async def saved(keeper, store, *sessions, ledgers=()):
    """Save like a shard process, again and again, until one more try ended."""
    before = store.ended
    async with asyncio.timeout(10.0):
        while store.ended == before:
            keeper.save(sessions, ledgers)
            await asyncio.sleep(0.001)


async def began(store):
    async with asyncio.timeout(10.0):
        while not store.began:
            await asyncio.sleep(0.001)


async def test_a_session_is_written_once(keeper, store):
    await saved(keeper, store, SESSION, OTHER)
    keeper.save([SESSION, OTHER])
    await keeper.close()

    assert store.sessions == {0: SESSION, 1: OTHER}
    assert store.ended <= 2  # the second save may have come before the first was noted


async def test_a_store_that_hangs_costs_one_write_more_and_not_one_for_each_save(keeper, store):
    store.may_go_on.clear()
    keeper.save([at(1)])
    await began(store)
    for seq in range(2, 50):
        keeper.save([at(seq)])
    store.may_go_on.set()
    await keeper.close()

    assert (store.ended, store.sessions) == (2, {0: at(49)})


async def test_what_a_failing_store_refused_is_written_when_it_works_again(keeper, store, caplog):
    store.fails = True
    await saved(keeper, store, SESSION, OTHER)
    await saved(keeper, store)
    store.fails = False
    await saved(keeper, store, at(2))
    await keeper.close()

    assert store.sessions == {0: at(2), 1: OTHER}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_what_was_written_before_a_failure_is_written_again(keeper, store):
    await saved(keeper, store, SESSION, OTHER)
    store.fails = True
    await saved(keeper, store, at(2))
    store.fails, store.sessions = False, {}  # another file took its place
    await saved(keeper, store)
    await keeper.close()

    assert store.sessions == {0: at(2), 1: OTHER}


async def test_a_session_is_kept_and_forgotten_by_the_number_of_its_permit(keeper, store):
    keeper.permitted(0, 7)
    await saved(keeper, store, SESSION)
    kept = store.sessions[0].permit
    keeper.forget(0)
    keeper.permitted(0, 8)
    await keeper.close()

    assert (kept, store.forgotten) == (7, [Forgotten(0, 7)])


async def test_a_ledger_that_changed_brings_its_session_so_that_the_store_can_refuse_both(keeper, store):
    await saved(keeper, store, SESSION, OTHER, ledgers=[LEDGER])
    store.sessions = {}
    later = dataclasses.replace(LEDGER, duplicates=1)
    await saved(keeper, store, SESSION, OTHER, ledgers=[later])
    await keeper.close()

    assert (store.sessions, store.ledgers) == ({0: SESSION}, {"a": later})


async def test_a_newer_session_in_the_store_is_told_once(keeper, store, caplog):
    store.newer = frozenset({0})
    await saved(keeper, store, SESSION)
    await saved(keeper, store, at(2))
    store.newer = frozenset()
    await saved(keeper, store, at(3))
    await keeper.close()

    assert [record.message for record in caplog.records] == ["session.superseded"]


async def test_why_nothing_can_be_saved_is_known_until_it_can(keeper, store):
    store.fails = True
    await saved(keeper, store, SESSION)
    await saved(keeper, store)
    error = keeper.error
    store.fails = False
    await saved(keeper, store)
    await keeper.close()

    assert ("the disk is full" in error, keeper.error) == (True, None)


async def test_a_session_that_a_failing_store_could_not_delete_is_deleted_later(keeper, store):
    await saved(keeper, store, SESSION, OTHER)
    store.fails = True
    keeper.forget(0)
    await saved(keeper, store)
    store.fails = False
    await saved(keeper, store)
    await keeper.close()

    assert store.sessions == {1: OTHER}


async def test_a_session_opened_after_a_forgotten_one_stays(keeper, store):
    store.may_go_on.clear()
    keeper.save([OTHER])
    await began(store)
    keeper.forget(0)
    keeper.save([at(7)])
    store.may_go_on.set()
    await keeper.close()

    assert store.sessions == {0: at(7), 1: OTHER}


async def test_a_fault_of_our_own_is_kept_for_the_process(keeper, store):
    store.save = None
    keeper.save([SESSION])
    await keeper.close()

    assert isinstance(keeper.failure, TypeError)
