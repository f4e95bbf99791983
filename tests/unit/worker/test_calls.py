"""Calls from tasks: what is asked of whom, and what comes back; the broadcast is played by a stand-in."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from kombu.exceptions import OperationalError

from gateway_service.refusals import NotReady, OperationTimedOut, OtherHost, RateLimited
from gateway_service.worker.calls import GatewayCalls

GUILD = 81384788765712384


class Gateways:
    """A broker behind which supervisors answer."""

    def __init__(self, *answers, failure=None):
        self.answers = answers
        self.failure = failure
        self.asked = []
        self.control = SimpleNamespace(broadcast=self.broadcast)

    def connection_for_write(self):
        if self.failure:
            raise self.failure
        return nullcontext(self)

    def broadcast(self, command, arguments, *, callback, pattern, matcher, **_options):
        self.asked.append((command, arguments, pattern, matcher))
        for index, answer in enumerate(self.answers):
            callback({f"gateway@host-{index}": answer})


def test_members_come_back_as_discord_sent_them():
    gateways = Gateways({"result": {"members": [{"nick": "ann"}], "presences": [], "not_found": ["7"], "chunks": 1}})

    members = GatewayCalls(lambda: gateways).request_guild_members(GUILD, user_ids=[1, "7"], timeout_s=2.5)

    assert members.members == [{"nick": "ann"}]
    assert members.not_found == ["7"]
    [(command, arguments, pattern, matcher)] = gateways.asked
    assert (command, pattern, matcher) == ("request_guild_members", "gateway@*", "glob")
    assert arguments == {
        "guild_id": str(GUILD),
        "presences": False,
        "timeout_s": 2.5,
        "user_ids": ["1", "7"],
        "asked_by": "task",
    }


@pytest.mark.parametrize(("code", "kind"), [("not_ready", NotReady), ("rate_limited", RateLimited)])
def test_a_refusal_is_an_error_of_its_own(code, kind):
    gateways = Gateways({"error": {"code": code, "message": "later", "retry_after_s": 3.5}})

    with pytest.raises(kind, match="later") as refused:
        GatewayCalls(lambda: gateways).update_voice_state(GUILD, None)

    assert refused.value.retry_after_s == 3.5


def test_nobody_answers():
    with pytest.raises(OtherHost, match="where_is: no supervisor that runs this shard answered within 7 s"):
        GatewayCalls(Gateways).where_is(GUILD, timeout_s=2.0)


def test_a_broker_that_is_away_is_a_timeout():
    with pytest.raises(OperationTimedOut, match="the broker does not answer: OperationalError"):
        GatewayCalls(lambda: Gateways(failure=OperationalError())).where_is(GUILD)


def shown(*shard_ids):
    return {"result": {"shard_ids": [*shard_ids]}, "failures": []}


def test_a_presence_is_shown_by_all_supervisors():
    gateways = Gateways(shown(4, 5), shown(0, 1))

    assert GatewayCalls(lambda: gateways).update_presence({"status": "idle"}) == [0, 1, 4, 5]


def test_a_presence_for_some_shards_waits_for_these_alone():
    last = shown(1) | {"failures": [{"code": "not_ready", "message": "its process is BACKOFF", "shard_id": 2}]}
    gateways = Gateways(shown(4), last, {"error": {"code": "failed", "message": "never read"}})

    assert GatewayCalls(lambda: gateways).update_presence(None, shard_ids=[1, 2, 4]) == [1, 4]


def test_where_a_guild_is():
    found = {"guild_id": str(GUILD), "shard_id": 3, "num_shards": 8, "host": "gateway@host-0", "state": "live"}

    place = GatewayCalls(lambda: Gateways({"result": found})).where_is(GUILD)

    assert (place.shard_id, place.host, place.state) == (3, "gateway@host-0", "live")
