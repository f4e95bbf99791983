"""From a door to an operation: arguments, whose shard it is, what becomes of the others."""

import asyncio

import pytest

from gateway_service.control.control import Control
from gateway_service.control.local import Host
from gateway_service.control.operations import operation_named
from gateway_service.errors import ShardUnavailable
from gateway_service.refusals import (
    ControlError,
    InvalidArgument,
    Misconfigured,
    NotReady,
    NotSupported,
    OperationFailed,
    OperationTimedOut,
    OtherHost,
    RateLimited,
    TooLarge,
    UnknownShard,
)
from gateway_service.settings.values import MAX_PRESENCE_LEVELS
from tests.support.fleet import FakeFleet, FakePeers, process, shard

GUILD_OF_0, GUILD_OF_3 = 4 << 22, 3 << 22


def control(*, peers=None, stops=None):
    fleet = FakeFleet(shard(0), shard(1, received=9, published=3, pending=1, spool_rows=2), num_shards=4)
    stops = [] if stops is None else stops
    host = Host(fleet, "gateway@here", stops.append)
    host.peers = peers
    return fleet, Control(host)


async def perform(subject, name, **arguments):
    return await subject.perform(operation_named(name), arguments, "test")


async def test_an_answer_says_who_and_where():
    _, subject = control()

    answer = await perform(subject, "shard", shard_id=1)

    assert (answer.operation, answer.host, answer.caller) == ("shard", "gateway@here", "test")
    assert answer.took_ms >= 0
    assert (answer.result.shard.shard_id, answer.result.shard.lag) == (1, 3)


async def test_a_shard_of_ours_is_restarted_here():
    fleet, subject = control(peers=FakePeers())

    await perform(subject, "restart_shard", shard_id=1, mode="identify")

    assert fleet.restarted == [(1, "identify")]


async def test_a_shard_of_another_host_is_restarted_there():
    there = {"operation": "restart_shard", "host": "gateway@there", "caller": "celery:gateway@here", "took_ms": 9e9}
    peers = FakePeers({**there, "result": {"shard_ids": [3], "outcome": "requested"}})
    fleet, subject = control(peers=peers)

    answer = await perform(subject, "restart_shard", shard_id=3)

    assert (answer.host, answer.caller) == ("gateway@there", "test")
    assert peers.callers == ["test"]
    assert answer.took_ms < 9e9
    assert fleet.restarted == []
    assert peers.asked == [("restart_shard", {"shard_id": 3})]


async def test_what_another_host_refuses_is_refused_with_its_code():
    refusal = {"code": "rate_limited", "message": "later", "host": "gateway@there", "retry_after_s": 2.0}
    _, subject = control(peers=FakePeers({"error": refusal}))

    with pytest.raises(RateLimited, match="later") as refused:
        await perform(subject, "request_guild_members", guild_id=GUILD_OF_3)

    assert (refused.value.host, refused.value.retry_after_s) == ("gateway@there", 2.0)


async def test_a_host_that_does_not_answer_is_named_by_its_shard():
    _, subject = control(peers=FakePeers())

    with pytest.raises(OtherHost, match=r"shard 3 is not run by gateway@here") as refused:
        await perform(subject, "restart_shard", shard_id=3)

    assert refused.value.shard_id == 3


async def test_there_is_no_such_shard():
    _, subject = control()

    with pytest.raises(UnknownShard, match="there is no shard 4: the bot has 4, ids go from 0 to 3"):
        await perform(subject, "shard", shard_id=4)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("shard", {}, "shard: shard_id: Field required"),
        ("shard", {"shard_id": "x"}, "shard: shard_id: Input should be a valid integer"),
        ("shard", {"shard": 1}, "shard: shard_id: Field required; shard: Extra inputs"),
        ("restart_shard", {"shard_id": 1, "mode": "x"}, "restart_shard: mode: Input should be 'resume' or 'identify'"),
        (
            "update_presence",
            {"presence": {"status": "busy"}},
            "update_presence: presence: has an unknown status 'busy'",
        ),
        ("rolling_restart", {"then": ["bot-2"]}, "rolling_restart: then.0: String should match pattern '^gateway@"),
        ("rolling_restart", {"then": ["gateway@a,gateway@b"]}, "then.0: String should match pattern '^gateway@"),
        ("request_guild_members", {"guild_id": 1, "query": "a", "user_ids": [1]}, "takes either query or user_ids"),
    ],
)
async def test_bad_arguments_are_one_sentence_each(name, arguments, sentence):
    _, subject = control()

    with pytest.raises(InvalidArgument) as refused:
        await perform(subject, name, **arguments)

    assert sentence in str(refused.value)


async def test_all_shards_of_all_hosts_are_one_list():
    there = [{**shard(i).model_dump(), "host": "gateway@there", "process": 0} for i in (2, 3)]
    answer = {"shard_ids": [2, 3], "result": {"num_shards": 4, "shards": there}}
    _, subject = control(peers=FakePeers(answer))

    answer = await perform(subject, "shards")

    assert [(each.shard_id, each.host) for each in answer.result.shards] == [
        (0, "gateway@here"),
        (1, "gateway@here"),
        (2, "gateway@there"),
        (3, "gateway@there"),
    ]
    assert answer.failures == []


async def test_what_one_host_did_counts_though_another_is_silent():
    fleet, subject = control(peers=FakePeers())

    answer = await perform(subject, "update_presence", presence={"status": "idle"})

    assert fleet.presences == {0: {"status": "idle"}, 1: {"status": "idle"}}
    assert [(failure.code, failure.shard_id) for failure in answer.failures] == [("other_host", 2), ("other_host", 3)]


class PeersWithoutBroker:
    async def ask(self, *_asked, **_options):
        raise OperationTimedOut("the broker does not answer: OperationalError")


async def test_what_is_known_here_is_told_while_the_broker_is_away():
    _, subject = control(peers=PeersWithoutBroker())

    answer = await perform(subject, "rolling_restart_status")

    assert [roll.host for roll in answer.result.hosts] == ["gateway@here"]
    assert facts(answer.failures) == [("other_host", None, 2), ("other_host", None, 3)]
    assert answer.failures[0].message == "the broker does not answer: OperationalError"


async def test_a_host_that_refuses_does_not_hide_one_that_is_silent():
    refusal = {"code": "failed", "message": "its store does not answer", "host": "gateway@there"}
    _, subject = control(peers=FakePeers({"error": refusal, "shard_ids": [2]}))

    answer = await perform(subject, "update_presence", presence={"status": "idle"})

    assert facts(answer.failures) == [("failed", "gateway@there", 2), ("other_host", None, 3)]


def facts(failures):
    return [(failure.code, failure.host, failure.shard_id) for failure in failures]


async def test_what_a_host_refuses_is_told_of_each_of_its_shards_that_were_meant():
    refusal = {"code": "failed", "message": "its store does not answer", "host": "gateway@there"}
    fleet, subject = control(peers=FakePeers({"error": refusal, "shard_ids": [2, 3]}))

    there = await perform(subject, "update_presence", presence=None, shard_ids=[0, 3])
    fleet.file = {"routes": {"A": {"drop": "maybe"}}}
    subject.host.peers = FakePeers({"shard_ids": [2, 3], "result": {"hosts": []}})
    here = await perform(subject, "reload_routes")

    assert facts(there.failures) == [("failed", "gateway@there", 3)]
    assert facts(here.failures) == [("misconfigured", "gateway@here", 0), ("misconfigured", "gateway@here", 1)]


async def test_a_shard_that_cannot_be_told_is_reported_while_the_others_are_told():
    theirs = {"code": "not_ready", "message": "kept", "shard_id": 3, "host": "gateway@there"}
    there = {"shard_ids": [2, 3], "result": {"shard_ids": [2]}, "failures": [theirs]}
    fleet, subject = control(peers=FakePeers(there))
    fleet.refusals = {1: NotReady("shard 1 is not available; kept", shard_id=1)}

    answer = await perform(subject, "update_presence", presence={"status": "idle"})
    as_asked_by_another = await subject.perform_here(operation_named("update_presence"), {"presence": None}, "test")

    assert answer.result.shard_ids == [0, 2]
    assert facts(answer.failures) == [("not_ready", "gateway@here", 1), ("not_ready", "gateway@there", 3)]
    assert facts(as_asked_by_another.failures) == [("not_ready", "gateway@here", 1)]
    assert subject.calls == {("update_presence", "partial"): 2}


async def test_a_process_that_a_roll_passes_over_is_told_of_each_of_its_shards():
    fleet, subject = control()
    fleet.processes = [process(0, [0, 1], state="FATAL")]

    answer = await perform(subject, "rolling_restart")
    await subject.host.roll.close()

    assert (answer.result.hosts[0].processes, answer.result.hosts[0].passed_over) == (0, [0])
    assert facts(answer.failures) == [("not_ready", "gateway@here", 0), ("not_ready", "gateway@here", 1)]


async def rolled(subject, *then):
    await perform(subject, "rolling_restart", max_resume_s=7.0, then=[*then])
    while (view := subject.host.roll.view()).state == "rolling":
        await asyncio.sleep(0)
    return view


async def test_a_roll_is_handed_on_to_the_hosts_that_were_named():
    _, subject = control(peers=FakePeers({"host": "gateway@b", "result": {"hosts": []}}))

    view = await rolled(subject, "gateway@b", "gateway@c")

    assert (view.state, view.then) == ("done", ["gateway@b", "gateway@c"])
    assert subject.host.peers.hosts == ["gateway@b"]
    assert subject.host.peers.asked == [("rolling_restart", {"max_resume_s": 7.0, "then": ["gateway@c"]})]


@pytest.mark.parametrize("caller", ["http:operator@10.0.0.7", "celery:gateway@a for http:operator@10.0.0.7"])
async def test_a_roll_is_handed_on_in_the_name_of_who_began_it(caller):
    _, subject = control(peers=FakePeers({"host": "gateway@b", "result": {"hosts": []}}))
    perform_it = subject.perform_here if caller.startswith("celery") else subject.perform

    await perform_it(operation_named("rolling_restart"), {"then": ["gateway@b"]}, caller)
    while subject.host.roll.view().state == "rolling":
        await asyncio.sleep(0)

    assert subject.host.peers.callers == ["http:operator@10.0.0.7"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([], "gateway@b did not begin: it does not answer"),
        (
            [{"error": {"code": "misconfigured", "message": "log_level: is loud", "host": "gateway@b"}}],
            "gateway@b did not begin: log_level: is loud",
        ),
    ],
)
async def test_a_roll_halts_where_the_next_host_does_not_begin(answers, reason):
    _, subject = control(peers=FakePeers(*answers))

    view = await rolled(subject, "gateway@b")

    assert (view.state, view.reason) == ("halted", reason)


@pytest.mark.parametrize("then", [["gateway@here"], ["gateway@b", "gateway@b"]])
async def test_a_roll_takes_no_host_twice(then):
    fleet, subject = control(peers=FakePeers())

    with pytest.raises(InvalidArgument, match="then: names a host twice; gateway@here is the first by itself"):
        await perform(subject, "rolling_restart", then=then)
    assert (subject.host.roll.view().state, fleet.restarted) == ("idle", [])


async def test_a_roll_of_other_hosts_needs_a_road_to_them():
    _, subject = control()

    with pytest.raises(NotSupported, match="gateway@here has no road to other supervisors"):
        await perform(subject, "rolling_restart", then=["gateway@b"])


async def test_a_fault_of_ours_is_logged_and_told_as_any_error(caplog):
    fleet, subject = control()
    fleet.answer = []  # Discord answers once, or a ControlError says that it did not

    with pytest.raises(ControlError, match="a fault in this program") as fault:
        await perform(subject, "request_soundboard_sounds", guild_id=GUILD_OF_0)

    assert fault.value.code == "internal"
    assert [record.message for record in caplog.records] == ["control.failed"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(asyncio.CancelledError(), "cancelled"), (RuntimeError("broken"), "internal")]
)
async def test_a_call_that_ends_in_any_way_is_noted(error, outcome):
    class Peers:
        async def ask(self, *_asked, **_more):
            raise error

    _, subject = control(peers=Peers())

    with pytest.raises(type(error)):
        await perform(subject, "restart_shard", shard_id=2)

    assert subject.calls == {("restart_shard", outcome): 1}


async def test_a_broadcast_for_shards_of_others_is_not_answered():
    _, subject = control()

    assert await subject.perform_here(operation_named("restart_shard"), {"shard_id": 3}, "test") is None


async def test_a_presence_that_no_identify_could_carry_is_refused():
    fleet, subject = control()

    with pytest.raises(TooLarge):
        await perform(subject, "update_presence", presence={"activities": [{"name": "x" * 3100}]}, shard_ids=[0])

    assert fleet.presences == {}


async def test_members_are_joined_over_chunks():
    fleet, subject = control()
    fleet.answer = [{"members": [{"a": 1}], "not_found": ["7"]}, {"members": [{"b": 2}]}]

    answer = await perform(subject, "request_guild_members", guild_id=str(GUILD_OF_0), timeout_s=3)

    assert answer.result.members == [{"a": 1}, {"b": 2}]
    assert (answer.result.not_found, answer.result.chunks) == (["7"], 2)
    assert fleet.commands == [
        (0, 8, {"guild_id": str(GUILD_OF_0), "presences": False, "query": "", "limit": 0}, 3.0),
    ]


async def test_a_process_that_does_not_run_is_not_ready():
    fleet, subject = control()

    def refuse(shard_id, _mode):
        raise ShardUnavailable(shard_id, "its process is BACKOFF")

    fleet.restart_shard = refuse
    with pytest.raises(NotReady, match="its process is BACKOFF"):
        await perform(subject, "restart_shard", shard_id=0)


async def test_calls_are_counted_and_logged_without_their_content(caplog):
    caplog.set_level("INFO")
    _, subject = control(peers=FakePeers())

    await perform(subject, "update_presence", presence={"activities": [{"name": "private"}]}, shard_ids=[0])
    with pytest.raises(UnknownShard):
        await perform(subject, "restart_shard", shard_id=9)

    assert subject.calls == {("update_presence", "ok"): 1, ("restart_shard", "unknown_shard"): 1}
    fields = [record.event_fields for record in caplog.records]
    assert [(each["operation"], each["caller"], each["outcome"]) for each in fields] == [
        ("update_presence", "test", "ok"),
        ("restart_shard", "test", "unknown_shard"),
    ]
    assert "private" not in str(fields)


async def test_drain_stops_this_supervisor():
    stops = []
    _, subject = control(stops=stops)

    answer = await perform(subject, "drain")

    assert stops == ["drain was asked for"]
    assert answer.result.shard_ids == [0, 1]


async def test_routes_are_read_again_and_those_in_force_are_shown():
    fleet, subject = control(peers=FakePeers({"shard_ids": [2, 3], "result": {"hosts": []}}))
    fleet.file = {"routes": {"TYPING_START": {"drop": True}}}

    assert (await perform(subject, "routes")).result.hosts[0].routes == {}
    await perform(subject, "reload_routes")

    [host] = (await perform(subject, "routes")).result.hosts
    assert (host.host, host.shard_ids, host.routes) == ("gateway@here", [0, 1], {"TYPING_START": {"drop": True}})


async def test_a_file_that_is_wrong_on_one_host_is_read_on_the_others():
    there = {"hosts": [{"host": "gateway@there", "shard_ids": [2, 3], "routes": {}}]}
    fleet, subject = control(peers=FakePeers({"shard_ids": [2, 3], "result": there}))
    fleet.file = {"routes": {"A": {"drop": "maybe"}}}

    answer = await perform(subject, "reload_routes")

    assert [host.host for host in answer.result.hosts] == ["gateway@there"]
    assert facts(answer.failures) == [("misconfigured", "gateway@here", 0), ("misconfigured", "gateway@here", 1)]
    assert "'A'" in answer.failures[0].message


async def test_a_file_that_is_wrong_everywhere_is_an_error():
    refusal = {"code": "misconfigured", "message": "there", "host": "gateway@there"}
    fleet, subject = control(peers=FakePeers({"error": refusal, "shard_ids": [2, 3]}))
    fleet.file = {"routes": {"A": {"drop": "maybe"}}}

    with pytest.raises(Misconfigured, match="the routes stay as they are") as refused:
        await perform(subject, "reload_routes")

    assert refused.value.shard_id is None


@pytest.mark.parametrize("wait_s", [0.0, 5.0])
async def test_a_process_that_cannot_be_restarted_is_told_at_once(wait_s):
    def refuse(_index):
        raise ShardUnavailable(0, "its process is BACKOFF")

    fleet, subject = control()
    fleet.on_restart = refuse

    with pytest.raises(NotReady, match="shard 0 is not available: its process is BACKOFF"):
        await perform(subject, "restart_process", shard_id=0, wait_s=wait_s)


def nested(levels):
    return [nested(levels - 1)] if levels else 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**30, "is not JSON: Integer exceeds 64-bit range"),
        ("\ud800", "is not JSON: str is not valid UTF-8: surrogates not allowed"),
        (nested(300), "is not JSON: Recursion limit reached"),
        (nested(MAX_PRESENCE_LEVELS - 2), "is nested more than 16 levels deep"),
    ],
)
async def test_a_presence_that_no_shard_could_send_is_refused(value, reason):
    fleet, subject = control()

    with pytest.raises(InvalidArgument, match=f"update_presence: presence: {reason}"):
        await perform(subject, "update_presence", presence={"activities": [{"name": value, "type": 0}]})

    assert fleet.presences == {}


THERE = {"operation": "x", "host": "gateway@there", "caller": "celery:gateway@here", "took_ms": 1, "shard_ids": [2, 3]}


async def test_a_host_of_a_newer_version_may_say_more_of_one_shard():
    more = {"result": {"shard_ids": [3], "outcome": "requested", "since": "1.1"}, "trace": "x"}
    _, subject = control(peers=FakePeers({**THERE, **more}))

    assert (await perform(subject, "restart_shard", shard_id=3)).result.outcome == "requested"


async def test_a_host_of_a_newer_version_may_say_more_of_every_shard():
    view = {"state": "live", "since": 1.0, "host": "gateway@there", "process": 0, "mood": "fine"}
    result = {"num_shards": 4, "shards": [{**view, "shard_id": each} for each in (2, 3)], "region": "eu"}
    _, subject = control(peers=FakePeers({**THERE, "result": result}))

    answer = await perform(subject, "shards")

    assert [shard.shard_id for shard in answer.result.shards] == [0, 1, 2, 3]
    assert answer.failures == []


@pytest.mark.parametrize(
    "answer",
    [{"result": {"shard": []}}, {"error": {"reason": "none"}}, {"result": {"shard_ids": [2]}, "failures": [{}]}],
)
async def test_an_answer_that_cannot_be_read_is_a_failure_of_its_host_alone(answer):
    fleet, subject = control(peers=FakePeers({**THERE, **answer}))

    done = await perform(subject, "update_presence", presence={"status": "idle"})

    assert set(fleet.presences) == {0, 1}
    assert [(each.code, each.host, each.shard_id) for each in done.failures] == [
        ("failed", "gateway@there", 2),
        ("failed", "gateway@there", 3),
    ]


async def test_an_answer_of_the_owner_that_cannot_be_read_is_told():
    _, subject = control(peers=FakePeers({**THERE, "result": {"outcome": 1}}))

    with pytest.raises(OperationFailed, match=r"gateway@there cannot be read: result.shard_ids: Field required"):
        await perform(subject, "restart_shard", shard_id=3)
