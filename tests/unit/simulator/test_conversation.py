import json

import pytest

from gateway_service.protocol.constants import Intents
from gateway_service.simulator.conversation import Say
from gateway_service.simulator.faults import Abort, AskReconnect, CloseWith, Freeze, InvalidateSession, Moment

INVALID_SESSION = {"t": None, "s": None, "op": 9, "d": False}
RESUMABLE = INVALID_SESSION | {"d": True}
ACK = {"t": None, "s": None, "op": 11, "d": None}


def code(answers):
    [close] = answers
    assert isinstance(close, CloseWith)
    return close.code


@pytest.mark.parametrize("data", [None, 0, 7])
def test_a_heartbeat_is_answered_before_identify(discord, data):
    assert discord.say(discord.dial(), 1, data) == [ACK]


@pytest.mark.parametrize(
    "message",
    [b"", b"not json", b"\xff\xfe", b"[]", b'"text"', b"7", b'{"op":1,"d":"' + b"x" * 4096 + b'"}'],
)
def test_what_is_no_payload_is_closed_with_4002(discord, message):
    [close] = discord.dial().receive(message, discord.now)
    assert close.code == 4002


def test_a_payload_of_4096_bytes_is_accepted(discord):
    message = b'{"op":1,"d":null,"x":"' + b"x" * (4096 - 24) + b'"}'
    assert len(message) == 4096
    [answer] = discord.dial().receive(message, discord.now)
    assert json.loads(answer.text) == ACK


@pytest.mark.parametrize(
    "payload",
    [
        {"op": 99},
        {"op": 5},
        {"op": 12},
        {"op": True},
        {"op": None},
        {},
        {"op": 1, "d": "5"},
        {"op": 1, "d": True},
        {"op": 2, "d": None},
        {"op": 2, "d": {"token": "x"}},
        {"op": 6, "d": []},
        {"op": 6, "d": {"token": "x", "session_id": "y", "seq": None}},
        {"op": 6, "d": {"token": "x", "session_id": 1, "seq": 1}},
    ],
)
def test_an_unknown_opcode_or_a_bad_d_is_closed_with_4001(discord, payload):
    [close] = discord.dial().receive(json.dumps(payload).encode(), discord.now)
    assert close.code == 4001


@pytest.mark.parametrize("op", [3, 4, 8, 31, 43])
def test_a_command_before_identify_is_closed_with_4003(discord, op):
    assert code(discord.say(discord.dial(), op, {})) == 4003


@pytest.mark.parametrize("token", ["wrong", "Bot wrong", None, 7])
def test_a_wrong_token_is_closed_with_4004(discord, token):
    assert code(discord.identify(discord.dial(), token=token)) == 4004


def test_the_token_may_be_prefixed(discord):
    assert discord.identify(discord.dial(), token=f"Bot {discord.hub.config.token}") == []


def test_a_second_identify_is_closed_with_4005(discord):
    connection = discord.dial()
    discord.identify(connection)
    assert code(discord.identify(connection)) == 4005


def test_a_resume_after_identify_is_closed_with_4005(discord):
    connection = discord.dial()
    discord.identify(connection)
    assert code(discord.resume(connection, "any", 1)) == 4005


@pytest.mark.parametrize("shard", [[1, 1], [-1, 1], [0, 0], [0], [0, 1, 2], "01", 0, [0.0, 1], ["0", "1"], [False, 1]])
def test_an_invalid_shard_is_closed_with_4010(discord, shard):
    assert code(discord.identify(discord.dial(), shard)) == 4010


def test_a_count_that_is_no_multiple_is_closed_with_4010(make_discord):
    discord = make_discord(required_shard_multiple=16)
    assert code(discord.identify(discord.dial(), [0, 8])) == 4010
    assert discord.identify(discord.dial(), [0, 32]) == []


def test_too_many_guilds_are_closed_with_4011(make_discord):
    discord = make_discord(guilds=21, max_guilds_per_shard=10)
    assert code(discord.identify(discord.dial(), [0, 2])) == 4011
    assert discord.identify(discord.dial(), [0, 3]) == []


@pytest.mark.parametrize("intents", [..., None, "1", 1 << 17, 1 << 40, -1, True])
def test_missing_or_unknown_intents_are_closed_with_4013(discord, intents):
    assert code(discord.identify(discord.dial(), intents=intents)) == 4013


def test_a_privileged_intent_that_was_not_granted_is_closed_with_4014(make_discord):
    discord = make_discord(privileged_intents=Intents.GUILD_MEMBERS)
    assert code(discord.identify(discord.dial(), intents=int(Intents.MESSAGE_CONTENT))) == 4014
    assert discord.identify(discord.dial(), intents=int(Intents.GUILD_MEMBERS)) == []


def test_unknown_keys_and_odd_presences_are_welcome(discord):
    connection = discord.dial()
    answers = discord.identify(
        connection,
        capabilities=1,
        compress="true",
        presence={"activities": None, "game": None, "status": "idle", "afk": False, "since": None},
    )
    assert answers == []
    assert discord.hub.presences[0]["status"] == "idle"
    assert connection.compresses_payloads


def test_ready_names_the_shard_only_when_identify_did(discord):
    named, unnamed = discord.dial(), discord.dial()
    discord.identify(named, [0, 1])
    discord.now += 5
    discord.identify(unnamed, ...)
    assert discord.dispatches(named)[0]["d"]["shard"] == [0, 1]
    assert "shard" not in discord.dispatches(unnamed)[0]["d"]


def test_ready_lists_the_shards_guilds_and_they_follow(discord):
    connection = discord.dial()
    discord.identify(connection, [1, 2])
    ready, *guilds = discord.dispatches(connection)
    assert [guild["id"] for guild in ready["d"]["guilds"]] == [guild["d"]["id"] for guild in guilds]
    assert {int(guild["d"]["id"]) >> 22 & 1 for guild in guilds} == {1}


def test_without_the_guilds_intent_no_guild_follows(discord):
    connection = discord.dial()
    discord.identify(connection, intents=0)
    assert [dispatch["t"] for dispatch in discord.dispatches(connection)] == ["READY"]


def test_an_identify_too_soon_for_its_key_is_answered_with_op_9(discord):
    discord.identify(discord.dial(), [0, 2])
    discord.now += 4.9
    early = discord.dial()
    assert discord.identify(early, [1, 2]) == [INVALID_SESSION]
    discord.now += 0.2
    assert discord.identify(early, [1, 2]) == []


def test_each_key_has_its_own_window(make_discord):
    discord = make_discord(max_concurrency=2)
    assert discord.identify(discord.dial(), [0, 4]) == []
    assert discord.identify(discord.dial(), [1, 4]) == []
    assert discord.identify(discord.dial(), [2, 4]) == [INVALID_SESSION]


def test_the_identify_beyond_the_daily_budget_ends_everything(make_discord):
    discord = make_discord(identify_limit=1)
    first, second = discord.dial(), discord.dial()
    discord.identify(first)
    discord.now += 5
    assert code(discord.identify(second)) == 4004
    assert discord.hub.sessions.find(first.session.session_id, discord.now) is None
    assert not discord.hub.accepts(discord.hub.config.token)


def test_the_payload_beyond_120_in_a_minute_is_closed_with_4008(discord):
    connection = discord.dial()
    answers = [discord.say(connection, 1) for _ in range(121)]
    assert answers[:120] == [[ACK]] * 120
    assert code(answers[120]) == 4008


def test_the_send_window_slides(discord):
    connection = discord.dial()
    for _ in range(240):
        assert discord.say(connection, 1) == [ACK]
        discord.now += 0.5


def test_the_send_limit_can_be_lifted(make_discord):
    discord = make_discord(enforce_send_limit=False)
    connection = discord.dial()
    assert [discord.say(connection, 1) for _ in range(200)] == [[ACK]] * 200


def session_of(discord):
    connection = discord.dial()
    discord.identify(connection, [0, 1])
    session = connection.session
    session.cursor = session.sent_seq = session.last_seq
    return session


def test_a_resume_moves_the_cursor_and_appends_resumed(discord):
    session = session_of(discord)
    connection = discord.dial("localhost")
    assert discord.resume(connection, session.session_id, 3) == []
    assert [(d["t"], d["s"]) for d in discord.dispatches(connection)] == [
        ("GUILD_CREATE", 4),
        ("GUILD_CREATE", 5),
        ("RESUMED", 6),
    ]


@pytest.mark.parametrize("seq", [6, 1000, -1])
def test_a_foreign_seq_is_closed_with_4007(discord, seq):
    session = session_of(discord)
    assert code(discord.resume(discord.dial(), session.session_id, seq)) == 4007


def test_a_resume_with_a_wrong_token_is_answered_with_op_9(discord):
    session = session_of(discord)
    assert discord.resume(discord.dial(), session.session_id, 5, token="x") == [INVALID_SESSION]


def test_an_unknown_session_is_answered_with_op_9(discord):
    assert discord.resume(discord.dial(), "unknown", 1) == [INVALID_SESSION]


def test_a_session_expires_when_it_was_alone_for_too_long(make_discord):
    discord = make_discord(session_ttl_s=60)
    session = session_of(discord)
    session.detached_at = discord.now
    discord.now += 61
    assert discord.resume(discord.dial(), session.session_id, 5) == [INVALID_SESSION]


@pytest.mark.parametrize(("code_", "kept"), [(1000, False), (1001, False), (4000, True), (1005, True), (None, True)])
def test_only_1000_and_1001_of_the_client_end_the_session(discord, code_, kept):
    connection = discord.dial()
    discord.identify(connection)
    connection.lost(code_, discord.now, client_closed_first=True)
    assert (discord.hub.sessions.find(connection.session.session_id, discord.now) is not None) is kept


def test_the_clients_answer_to_our_close_does_not_end_the_session(discord):
    connection = discord.dial()
    discord.identify(connection)
    connection.lost(1000, discord.now, client_closed_first=False)
    assert discord.hub.sessions.find(connection.session.session_id, discord.now) is not None


def test_silence_is_closed_with_the_code_seen_in_the_field(make_discord):
    discord = make_discord(heartbeat_interval_ms=40_000)
    connection = discord.dial()
    assert connection.next_deadline == discord.now + 60
    assert connection.handle_timer(discord.now + 59.9) == []
    assert code(connection.handle_timer(discord.now + 60)) == 1000
    assert connection.next_deadline is None


def test_a_heartbeat_moves_the_deadline(make_discord):
    discord = make_discord(heartbeat_interval_ms=40_000)
    connection = discord.dial()
    discord.now += 40
    discord.say(connection, 1)
    assert connection.next_deadline == discord.now + 60


def test_a_heartbeat_may_trim_the_replay(make_discord):
    discord = make_discord(trim_on_heartbeat=True)
    session = session_of(discord)
    connection = discord.dial()
    discord.resume(connection, session.session_id, 5)
    discord.say(connection, 1, 4)
    assert not session.can_replay_after(3)
    assert session.can_replay_after(4)


def test_op_7_that_is_ignored_ends_in_1001(make_discord):
    discord = make_discord(reconnect_grace_s=10)
    connection = discord.dial()
    [op7] = connection.suffer(AskReconnect(), discord.now)
    assert json.loads(op7.text)["op"] == 7
    assert connection.next_deadline == discord.now + 10
    assert code(connection.handle_timer(discord.now + 10)) == 1001


@pytest.mark.parametrize(("resumable", "kept"), [(True, True), (False, False)])
def test_op_9_takes_the_session_from_the_connection(discord, resumable, kept):
    connection = discord.dial()
    discord.identify(connection)
    session = connection.session
    connection.suffer(InvalidateSession(resumable), discord.now)
    assert connection.session is None
    assert code(discord.say(connection, 3, {"status": "online"})) == 4003
    assert (discord.hub.sessions.find(session.session_id, discord.now) is not None) is kept


@pytest.mark.parametrize("fault", [CloseWith(4009, "late"), Abort(), Freeze()])
def test_a_fault_of_the_transport_is_passed_on(discord, fault):
    assert discord.dial().suffer(fault, discord.now) == [fault]


def test_an_armed_fault_takes_the_place_of_hello(discord):
    discord.hub.faults.arm(AskReconnect(), Moment.HELLO)
    discord.dial()
    assert len(discord.hub.transcript.payloads(7, side="server")) == 1
    assert discord.hub.transcript.payloads(10, side="server") == []


def test_an_armed_fault_takes_the_place_of_ready_and_costs_no_identify(discord):
    discord.hub.faults.arm(InvalidateSession(), Moment.IDENTIFY, shard_id=0)
    connection = discord.dial()
    assert discord.identify(connection) == [INVALID_SESSION]
    assert discord.identify(connection) == []


def test_an_armed_fault_takes_the_place_of_the_replay(discord):
    session = session_of(discord)
    discord.hub.faults.arm(InvalidateSession(resumable=True), Moment.RESUME, shard_id=0)
    connection = discord.dial()
    assert discord.resume(connection, session.session_id, 5) == [RESUMABLE]
    assert discord.resume(connection, session.session_id, 5) == []


def test_the_token_is_not_in_the_transcript(discord):
    discord.identify(discord.dial())
    assert discord.hub.config.token not in str([record.to_json() for record in discord.hub.transcript])


def test_hello_announces_milliseconds(discord):
    [hello] = discord.dial().open(discord.now)
    assert isinstance(hello, Say)
    assert hello.text == b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}'
