"""State on a real server: what each key is called and how long it lives, restarts, losses, TLS."""

from contextlib import closing
from dataclasses import replace

import pytest
import redis

from gateway_service.embedded import find_valkey_server
from gateway_service.embedded.broker import answer_to
from gateway_service.embedded.process import ServerProcess, free_port
from gateway_service.errors import ConfigurationError, StateUnavailable
from gateway_service.protocol.constants import IDENTIFY_SPACING_S
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state import Namespace, open_state
from gateway_service.state.limits import HELD_S
from gateway_service.state.once import open_once
from gateway_service.state.redis import IDENTIFIES_LIFE_S, LEDGER_LIFE_S, SESSION_LIFE_S
from gateway_service.state.redis_claims import CLAIM_LIFE_S, RedisClaims
from gateway_service.state.redis_server import RedisServer
from tests.support.tls import TlsFront, make_certificate
from tests.support.waiting import wait_until

BOT = Namespace("100", 4)
SESSION = Session(
    session_id="s", resume_gateway_url="u", seq=5, shard_id=3, num_shards=4, intents=1, guilds=GuildSnapshot()
)
LEDGER = SessionLedger(session="a", shard_id=3, num_shards=4, opened_at=1.0, first_seq=1, seq=1, heard_at=1.0)


@pytest.fixture
def state(valkey_url):
    with closing(open_state(valkey_url, BOT)) as state:
        yield state


@pytest.fixture
def keys(valkey_url):
    """The server's own view."""
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


def forget_the_wait_of_a_new_server(keys):
    keys.zrem("gateway:{100}:permits", "all")


def test_every_key_is_of_its_bot_and_lives_as_long_as_documented(state, keys):
    forget_the_wait_of_a_new_server(keys)
    state.save([SESSION], ledgers=[LEDGER])
    state.take_permit(3, max_concurrency=1, known=0)
    state.desire({"presence:0": "{}"})
    state.claim([3])

    lives_s = {key: keys.pttl(key) / 1000 for key in keys.scan_iter()}

    documented_s = {
        "gateway:{100}:epoch": SESSION_LIFE_S,
        "gateway:{100}:session:4:3": SESSION_LIFE_S,
        "gateway:{100}:ledgers:4:3": LEDGER_LIFE_S,
        "gateway:{100}:ledger-ages:4:3": LEDGER_LIFE_S,
        "gateway:{100}:ledger-shards": LEDGER_LIFE_S,
        "gateway:{100}:identifies": IDENTIFIES_LIFE_S,
        "gateway:{100}:permits": HELD_S,
        "gateway:{100}:desired": -0.001,  # for ever
        "gateway:{100}:claim:4:3": CLAIM_LIFE_S,
    }
    assert lives_s.keys() == documented_s.keys()
    assert {
        key: documented_s[key] - 60 < life_s <= documented_s[key] for key, life_s in lives_s.items()
    } == dict.fromkeys(documented_s, True)


def test_a_use_keeps_the_key_known_for_as_long_as_it_is_taken(state, keys):
    forget_the_wait_of_a_new_server(keys)
    state.permit_used(3, state.take_permit(3, max_concurrency=1, known=0).number)

    assert 0 < keys.pttl("gateway:{100}:permits") <= HELD_S * 1000


def test_a_restart_of_the_server_is_not_noticed(state, valkey):
    state.save([SESSION])
    valkey.restart()
    state.save([replace(SESSION, seq=9)])

    assert state.load(3).seq == 9


def test_a_server_that_lost_everything_is_told_so_that_everything_is_written_again(state, valkey, valkey_url):
    with closing(open_state(valkey_url, BOT)) as other:
        valkey.flush()

        for each in (state, other):
            with pytest.raises(StateUnavailable, match="it lost what it had; everything is written again"):
                each.save([SESSION])
            assert each.save([SESSION]) == frozenset()


def test_who_only_asks_for_permits_is_told_as_well_that_a_server_lost_everything(state, keys, valkey):
    forget_the_wait_of_a_new_server(keys)
    taken = state.take_permit(3, max_concurrency=1, known=0)
    valkey.flush()

    with pytest.raises(StateUnavailable, match="it lost what it had"):
        state.identifies(taken.number)
    valkey.flush()
    with pytest.raises(StateUnavailable, match="it lost what it had"):
        state.take_permit(2, max_concurrency=1, known=taken.number)
    valkey.flush()
    with pytest.raises(StateUnavailable, match="it lost what it had"):
        state.restore([], {}, {})


def test_a_server_that_lost_everything_gives_no_permit_before_all_have_noticed(state, valkey):
    valkey.flush()
    with pytest.raises(StateUnavailable):
        state.identifies()

    busy = state.take_permit(3, max_concurrency=16, known=0)

    assert 0 < busy.for_s <= IDENTIFY_SPACING_S


def test_whoever_opens_first_what_lost_everything_gets_no_permit_before_all_have_noticed(state, valkey, valkey_url):
    valkey.flush()
    with closing(open_state(valkey_url, BOT)) as newcomer:
        assert list(newcomer.identifies()) == []
        busy = newcomer.take_permit(3, max_concurrency=16, known=0)

        assert IDENTIFY_SPACING_S - 1 < busy.for_s <= IDENTIFY_SPACING_S
        with pytest.raises(StateUnavailable, match="it lost what it had"):
            state.identifies()


@pytest.mark.usefixtures("state")
def test_opening_what_others_have_open_makes_nobody_wait(keys, valkey_url):
    forget_the_wait_of_a_new_server(keys)
    with closing(open_state(valkey_url, BOT)) as newcomer:
        assert newcomer.take_permit(3, max_concurrency=1, known=0).number


def test_a_server_that_is_away_is_told_and_nothing_else_is_needed_when_it_is_back(state, valkey):
    valkey.stop()
    with pytest.raises(StateUnavailable, match=r"redis://127\.0\.0\.1:\d+/0 is not available: .*refused"):
        state.save([SESSION])
    valkey.start()

    assert state.save([SESSION]) == frozenset()


def test_a_session_that_cannot_be_read_is_as_good_as_none(state, keys):
    keys.hset("gateway:{100}:session:4:3", mapping={"permit": 1, "id": "a", "seq": 1, "text": '{"of": "another"}'})

    assert state.load(3) is None


def test_a_clock_that_was_set_back_keeps_no_key_taken(state, keys):
    forget_the_wait_of_a_new_server(keys)
    taken = state.take_permit(3, max_concurrency=1, known=0)
    keys.zincrby("gateway:{100}:permits", 86_400e6, f"3:{taken.number}")

    assert state.take_permit(2, max_concurrency=1, known=taken.number).number > taken.number


def test_shards_belong_to_one_service_until_it_ends(state, valkey_url):
    with (
        closing(open_state(valkey_url, BOT)) as other,
        closing(open_state(valkey_url, Namespace("200", 4))) as stranger,
    ):
        assert state.claim([1, 2]) == frozenset()
        assert [other.claim([0, 1, 2, 3]), other.claim([0, 3]), stranger.claim([1])] == [{1, 2}, set(), set()]
        assert state.claim([1, 2]) == frozenset()

        state.close()
        assert other.claim([1]) == frozenset()


def test_the_shards_of_a_killed_service_are_free_a_while_later(state, valkey_url):
    server = RedisServer(valkey_url, "state_url")
    dead = RedisClaims(server, "gateway:{100}:claim:4:", life_s=0.2)
    dead._keep = lambda: None  # its thread died with it
    dead.take([1])

    assert state.claim([1]) == {1}
    wait_until(lambda: not state.claim([1]))
    dead.close()
    assert RedisClaims(server, "gateway:{100}:claim:4:").take([1]) == {1}  # what another has now is not given back
    server.close()


def test_a_claim_that_the_server_lost_is_taken_again(keys, valkey_url):
    server = RedisServer(valkey_url, "state_url")
    with closing(RedisClaims(server, "claim:", life_s=0.3)) as claims:
        claims.take([1])
        keys.delete("claim:1")

        wait_until(lambda: keys.get("claim:1"))
    assert keys.get("claim:1") is None
    server.close()


@pytest.mark.parametrize("url", ["redis://:hunter22@127.0.0.1:1/0", "rediss://me:hunter22@127.0.0.1:1/0"])
def test_a_server_that_was_never_there_is_told_without_the_password(url):
    with pytest.raises(StateUnavailable) as failure:
        open_state(url, BOT)

    assert "127.0.0.1:1/0 is not available" in str(failure.value)
    assert "hunter22" not in str(failure.value)


def test_a_password_that_the_server_refuses_is_not_shown(valkey_url):
    with pytest.raises(StateUnavailable) as failure:
        open_state(valkey_url.replace("//", "//me:hunter22@"), BOT)

    assert "hunter22" not in str(failure.value)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [("maxmemory", "200mb", "volatile-ttl"), ("maxmemory", "0", None), ("maxmemory-policy", "noeviction", None)],
)
def test_a_server_that_drops_keys_when_it_is_full_is_known(keys, evicting_url, setting, value, told):
    keys.config_set(setting, value)

    with closing(open_state(evicting_url, BOT)) as state:
        assert state.eviction_policy == told


def test_a_user_who_may_not_ask_what_server_it_is_can_use_it(keys, valkey_url):
    keys.acl_setuser("limited", enabled=True, passwords=["+hunter22"], keys=["*"], commands=["+@all", "-info"])
    try:
        with closing(open_state(valkey_url.replace("//", "//limited:hunter22@"), BOT)) as state:
            assert state.save([SESSION]) == frozenset()
    finally:
        keys.acl_deluser("limited")


@pytest.mark.usefixtures("valkey")  # which skips where there is no server
def test_a_node_of_a_cluster_is_refused_with_the_setting_to_change(tmp_path):
    port = free_port()
    options = {"port": port, "cluster-enabled": "yes", "cluster-port": free_port(), "save": "", "dir": tmp_path}
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    server = ServerProcess([str(find_valkey_server()), *arguments], {}, tmp_path / "valkey.log")
    try:
        server.wait_until(lambda: answer_to("127.0.0.1", port, b"PING\r\n", 5) == b"+PONG", timeout_s=20)
        for open_it, name in ((lambda url: open_state(url, BOT), "state_url"), (open_once, "once_url")):
            with pytest.raises(ConfigurationError) as failure:
                open_it(f"redis://:hunter22@127.0.0.1:{port}/0")
            assert str(failure.value) == (
                f"{name}: redis://:***@127.0.0.1:{port}/0 is a node of a Redis Cluster, which cannot be used; "
                f"name a server with cluster-enabled no (GATEWAY_{name.upper()})"
            )
    finally:
        server.kill()


def test_over_tls_the_certificate_counts(valkey, valkey_url, tmp_path):
    certificate = make_certificate(tmp_path)
    with closing(TlsFront(certificate, valkey.port)) as front:
        url = valkey_url.replace("redis://", "rediss://").replace(f"127.0.0.1:{valkey.port}", f"localhost:{front.port}")
        with closing(open_state(f"{url}?ssl_ca_certs={certificate[0]}", BOT)) as state:
            state.save([SESSION])
            assert state.load(3) == SESSION

        with pytest.raises(StateUnavailable, match="certificate"):
            open_state(url, BOT)
