import asyncio
import json
import logging
from collections import Counter
from typing import get_args

import pytest

from gateway_service.contract import GAP_EVENT
from gateway_service.metrics import Histogram
from gateway_service.protocol.effects import Deliver, NoteName, SessionForgotten
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.machine import Machine
from gateway_service.protocol.reconnect import Cause
from gateway_service.protocol.session import Session
from gateway_service.publisher import Outbox
from gateway_service.settings import Route, Routes
from gateway_service.shard.books import Books
from gateway_service.shard.keeper import SessionKeeper
from gateway_service.shard.shard import Shard

SESSION = Session(
    session_id="a session",
    resume_gateway_url="wss://resume.discord.gg",
    seq=0,
    shard_id=3,
    num_shards=16,
    intents=1,
    guilds=GuildSnapshot(),
)


FORGOTTEN = SessionForgotten("Discord invalidated it (op 9)", 7, (11, 12))


class Store:
    """A session store in memory; it records what it was told."""

    def __init__(self):
        self.sessions = {}
        self.ledgers = {}

    def load(self, shard_id):
        return self.sessions.get(shard_id)

    def save(self, sessions, *, forgotten=(), ledgers=()):
        for gone in forgotten:
            self.sessions.pop(gone.shard_id, None)
        self.sessions.update((session.shard_id, session) for session in sessions)
        self.ledgers.update((ledger.session, ledger) for ledger in ledgers)
        return frozenset()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
async def keeper(store):
    keeper = SessionKeeper(store)
    yield keeper
    await keeper.close()


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
async def shard(keeper, outbox):
    machine = Machine(
        shard_id=3,
        num_shards=16,
        token="a.token",
        intents=1,
        compression="none",
        gateway_url="wss://gateway.discord.gg",
        rng=lambda: 0.5,
    )
    return Shard(
        machine,
        outbox,
        keeper,
        Books(outbox, ()),
        lambda _message: None,
        routes=Routes(),
        heartbeats=Histogram(),
        endings=Counter(),
    )


@pytest.mark.parametrize("name", get_args(NoteName))
async def test_every_note_of_the_machine_has_a_log_line(shard, caplog, name):
    with caplog.at_level(logging.DEBUG):
        shard.note(name, {"cause": Cause.CLOSED, "code": 4000})

    assert len(caplog.records) == 1


async def test_a_new_session_is_logged_once(shard, caplog):
    with caplog.at_level(logging.DEBUG):
        shard.session_opened(SESSION)
        shard.note("session.opened", {"guilds": 2})

    (record,) = caplog.records
    assert record.message == "session.opened"
    assert record.event_fields["guilds"] == 2


async def test_what_an_earlier_resumed_hid_is_counted_as_replayed_and_not_as_another_resume(shard):
    shard.session_opened(SESSION)

    shard.note("session.resumed", {"replayed": 2})
    shard.note("session.replayed", {"replayed": 3})

    status = shard.status()
    assert (status.resumes, status.replayed, shard._book.replayed) == (1, 5, 5)


async def test_the_gap_of_a_deaf_session_begins_with_what_an_intent_let_through(shard, outbox):
    shard.session_opened(SESSION)
    shard.deliver(Deliver("MESSAGE_CREATE", 1, b"{}", None, None))
    shard.refresh()
    heard_at = shard._book.heard_at
    shard.deliver(Deliver("RESUMED", 2, b"{}", None, None))
    shard.refresh()
    shard.session_forgotten(FORGOTTEN)

    [gap] = [json.loads(each.raw) for each in outbox.take(10, 10**9) if each.event == GAP_EVENT]
    assert gap["from"] == heard_at


async def test_a_zombied_connection_is_logged_as_a_warning_of_its_own(shard, caplog):
    with caplog.at_level(logging.DEBUG):
        shard.note("connection.ended", {"cause": Cause.ZOMBIE, "code": None})

    (record,) = caplog.records
    assert (record.message, record.levelno) == ("shard.zombied", logging.WARNING)


async def test_ended_connections_are_counted_by_cause_and_code(shard):
    shard.note("connection.ended", {"cause": Cause.TOO_LONG, "code": None})
    shard.note("connection.ended", {"cause": Cause.CLOSED, "code": 4000})
    shard.note("connection.ended", {"cause": Cause.CLOSED, "code": 4321})

    assert shard._endings == {("too_long", "none"): 1, ("closed", "4000"): 1, ("closed", "other"): 1}


async def test_a_drain_waits_for_the_answer_to_an_identify(shard):
    shard.identify_sent()
    draining = asyncio.create_task(shard.drain(patience_s=3600.0))
    await asyncio.sleep(0)
    before = shard.status().state

    shard.identify_answered()
    await draining

    assert (before, shard.status().state) == ("idle", "draining")


@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_drain_waits_no_longer_than_it_may(shard, is_sent):
    if is_sent:
        shard.identify_sent()

    await shard.drain(patience_s=0.0)

    assert shard.status().state == "draining"


async def test_an_opened_session_is_kept(shard, keeper, store):
    shard.session_opened(SESSION)
    await keeper.close()

    assert store.sessions == {3: SESSION}


async def test_a_session_that_cannot_be_resumed_is_forgotten(shard, keeper, store):
    shard.session_opened(SESSION)
    shard.session_forgotten(FORGOTTEN)
    await keeper.close()

    assert store.sessions == {}


async def test_what_a_route_drops_is_counted_and_not_published(shard):
    shard.session_opened(SESSION)
    shard.routes = Routes((Route(pattern="TYPING_START", drop=True),))

    shard.deliver(Deliver("TYPING_START", 1, b"{}", None, None))
    shard.deliver(Deliver("MESSAGE_CREATE", 2, b"{}", None, None))

    counts = shard._outbox.counts()
    assert (counts.received, counts.filtered, counts.pending) == (2, 1, 1)


async def test_what_a_route_drops_does_not_wait_for_the_broker(shard):
    shard.session_opened(SESSION)
    shard.routes = Routes((Route(pattern="TYPING_START", drop=True),))

    shard.deliver(Deliver("TYPING_START", 1, b"{}", None, None))
    shard.deliver(Deliver("MESSAGE_CREATE", 2, b"{}", None, None))

    status = shard.status()
    assert (status.received, status.published, status.pending, status.spool_rows) == (2, 0, 1, 0)
