import json

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway_service.ipc import messages
from gateway_service.ipc.messages import (
    AnyChildMessage,
    AnySupervisorMessage,
    ApplyRoutes,
    Command,
    CommandDone,
    Configure,
    Drain,
    Drained,
    Fatal,
    GatewayUrl,
    GatewayUrlRequest,
    Hello,
    IdentifyAnswered,
    IdentifySent,
    Permit,
    PermitCancel,
    PermitRequest,
    Ping,
    Pong,
    Report,
    RestartShard,
)
from gateway_service.ipc.statuses import ProcessStatus, ShardStatus

CONFIGURE = Configure(
    token="secret-token",
    gateway_url="wss://gateway.discord.gg",
    num_shards=4,
    shard_ids=(0, 1),
    intents=513,
    compression="zstd-stream",
    large_threshold=50,
    broker_url="amqp://guest:secret-password@broker//",
    state_url="sqlite:///state.db",
    outbox_max_bytes=1,
    spool_dir="/var/lib/spool/1",
    spool_max_bytes=2,
    service_shard_ids=(0, 1, 2, 3),
    log_level="info",
    log_format="json",
)
FROM_SUPERVISOR = [
    CONFIGURE,
    ApplyRoutes(routes={"MESSAGE_*": {"queue": "messages"}}),
    Ping(nonce=1),
    Permit(shard_id=3, number=7, presence={"status": "idle", "activities": [{"name": "é😀"}]}),
    Permit(shard_id=3, number=8),
    GatewayUrl(url="wss://gateway.discord.gg"),
    Command(id=7, shard_id=3, op=8, data={"guild_id": "81384788765712384", "query": "é"}, timeout_s=2.5),
    RestartShard(shard_id=3, mode="resume"),
    RestartShard(shard_id=3, mode="identify"),
    Drain(timeout_s=6.5),
]
FROM_CHILD = [
    Hello(pid=1),
    Pong(nonce=1),
    Report(
        shards=(ShardStatus(shard_id=0, state="live", since=1.5), ShardStatus(shard_id=1, state="idle", since=2.5)),
        process=ProcessStatus(broker="down", broker_error="refused", cpu_s=0.5),
    ),
    PermitRequest(shard_id=3),
    PermitCancel(shard_id=3),
    GatewayUrlRequest(),
    IdentifySent(shard_id=3),
    IdentifyAnswered(shard_id=3),
    CommandDone(id=7, result=[{"members": [1, None, "é"]}]),
    CommandDone(id=7, error="rate_limited", message="later", retry_after_s=1.5),
    Fatal(shard_id=3, code=4004, reason="the token"),
    Fatal(shard_id=3, reason="unknown"),
    Drained(),
]


def name_of(message):
    return message.type


@pytest.mark.parametrize("message", FROM_SUPERVISOR, ids=name_of)
def test_what_a_supervisor_says_comes_back(message):
    assert TypeAdapter(AnySupervisorMessage).validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("message", FROM_CHILD, ids=name_of)
def test_what_a_child_says_comes_back(message):
    assert TypeAdapter(AnyChildMessage).validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("message", [*FROM_SUPERVISOR, *FROM_CHILD], ids=name_of)
def test_a_message_is_one_line(message):
    assert "\n" not in message.model_dump_json()


def test_secrets_travel_and_are_not_shown():
    assert json.loads(CONFIGURE.model_dump_json())["token"] == "secret-token"
    assert "secret-" not in repr(CONFIGURE) + str(CONFIGURE)


@pytest.mark.parametrize(
    "text",
    ['{"type":"configure"}', '{"type":"pong","nonce":1}', '{"nonce":1}', '{"type":"ping","nonce":1,"more":2}', "[]"],
    ids=["incomplete", "other direction", "no type", "unknown field", "no object"],
)
def test_what_no_supervisor_says_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(AnySupervisorMessage).validate_json(text)


def test_a_message_cannot_be_changed():
    with pytest.raises(ValidationError):
        CONFIGURE.shard_ids = (5,)


def test_every_message_is_in_one_direction():
    kinds = {
        name
        for name, kind in vars(messages).items()
        if isinstance(kind, type) and issubclass(kind, messages._Message) and "type" in kind.model_fields
    }

    assert kinds == {type(message).__name__ for message in [*FROM_SUPERVISOR, *FROM_CHILD]}
