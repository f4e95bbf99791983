"""GatewayOptions: what people may write for each option, and how a refusal reads."""

import math
from pathlib import Path

import kombu.transport
import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.protocol.constants import ALL_INTENTS, PRIVILEGED_INTENTS, UNPRIVILEGED_INTENTS, Intents
from gateway_service.settings import SETTINGS, GatewayOptions, WorkerOptions


def options(**given):
    return GatewayOptions(**{"token": "abc.def.ghi", **given})


def faults(**given):
    with pytest.raises(ConfigurationError) as refused:
        options(**given)
    return refused.value.faults


def test_defaults_are_those_of_the_table():
    shown = {setting.name: setting.default for setting in SETTINGS}
    defaults = options()

    assert str(defaults.shard_count) == shown["shard_count"]
    assert defaults.intents == Intents[shown["intents"]] if shown["intents"] in Intents.__members__ else True
    assert defaults.intents == UNPRIVILEGED_INTENTS
    assert defaults.broker_url.get_secret_value() == shown["broker_url"]
    assert defaults.state_url.get_secret_value() == shown["state_url"]
    assert defaults.outbox_max_bytes == options(outbox_max_bytes=shown["outbox_max_bytes"]).outbox_max_bytes
    assert defaults.spool_max_bytes == options(spool_max_bytes=shown["spool_max_bytes"]).spool_max_bytes
    assert defaults.api_url == shown["api_url"]
    assert defaults.compression == shown["compression"]
    assert str(defaults.large_threshold) == shown["large_threshold"]
    assert str(defaults.identify_reserve) == shown["identify_reserve"]
    assert (defaults.force_identify, shown["force_identify"]) == (False, "no")
    assert defaults.log_level == shown["log_level"]
    assert defaults.log_format == shown["log_format"]
    assert ",".join(defaults.tasks) == shown["tasks"]
    assert str(defaults.control_address) == shown["control_address"]
    assert (defaults.shards, defaults.processes, defaults.presence, defaults.url) == (None, None, None, None)


def test_the_table_lists_every_field_and_only_those():
    assert {setting.name for setting in SETTINGS} - {"token_file"} == set(GatewayOptions.model_fields)


@pytest.mark.parametrize(
    ("given", "number"),
    [("64MiB", 64 * 1024**2), (" 1 gib ", 1024**3), ("100000", 100_000), (65536, 65536), ("70000b", 70_000)],
)
def test_bytes_may_have_a_unit(given, number):
    assert options(outbox_max_bytes=given).outbox_max_bytes == number


@pytest.mark.parametrize("given", ["64MB", "much", "-1", "", None, True, "1.5GiB"])
def test_another_unit_is_refused(given):
    (fault,) = faults(spool_max_bytes=given)

    assert fault.startswith("spool_max_bytes: must be a number of bytes such as 64MiB")


def test_an_outbox_that_one_dispatch_fills_is_refused():
    assert faults(outbox_max_bytes=1000) == ("outbox_max_bytes: must be 65536 bytes or more, not 1000",)


def test_the_spool_is_beside_the_state_unless_told_otherwise():
    assert options(state_url="sqlite:////var/lib/bot/state.db").spool_folder == Path("/var/lib/bot/spool")
    assert options(state_url="redis://10.0.0.1:6379/0").spool_folder == Path(".gateway/spool")
    assert options(spool_dir="/mnt/spool").spool_folder == Path("/mnt/spool")


def test_options_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        options().shard_count = 3


@pytest.mark.parametrize(
    ("given", "shard_ids"),
    [
        ([range(4), 8, 9], (0, 1, 2, 3, 8, 9)),
        ("0-3,8,9", (0, 1, 2, 3, 8, 9)),
        (" 2 - 3 , 1", (1, 2, 3)),
        (range(2), (0, 1)),
        (5, (5,)),
        ("5", (5,)),
        ([3, "0-1", range(1, 3)], (0, 1, 2, 3)),
        ("all", None),
        (None, None),
    ],
)
def test_shards_are_numbers_ranges_and_texts_in_any_mixture(given, shard_ids):
    assert options(shard_count=32, shards=given).shards == shard_ids


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("3-0", "shards: has a range that ends before it begins, '3-0'; write '0-3'"),
        ("0-", "shards: must be shard ids such as '0-3,8,9'; '0-' is neither a number nor a range"),
        ("", "shards: must be shard ids such as '0-3,8,9'; '' is neither a number nor a range"),
        ([], "shards: names no shard; leave it out for all of them"),
        (True, "shards: must be shard ids such as '0-3,8,9', not True"),
        ([1.5], "shards: must be shard ids such as '0-3,8,9', not 1.5"),
        ("0-999999999", "shards: has a shard id outside 0 to 99999: 0-999999999"),
        (-1, "shards: has a shard id outside 0 to 99999: -1"),
        (32, "shards: names shard 32, but the shard count is 32: ids go from 0 to 31"),
    ],
)
def test_shards_that_cannot_be_meant_are_refused(given, sentence):
    assert faults(shard_count=32, shards=given) == (sentence,)


def test_any_shard_id_goes_with_an_automatic_count():
    assert options(shard_count="auto", shards=[500]).shards == (500,)


@pytest.mark.parametrize(("given", "count"), [(32, 32), ("32", 32), ("auto", "auto"), ("AUTO", "auto")])
def test_a_shard_count_is_a_number_or_auto(given, count):
    assert options(shard_count=given).shard_count == count


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (0, "shard_count: must be from 1 to 100000, not 0"),
        ("-1", "shard_count: must be from 1 to 100000, not -1"),
        ("many", "shard_count: must be a whole number or 'auto', not 'many'"),
        (True, "shard_count: must be a whole number or 'auto', not True"),
        (1.5, "shard_count: must be a whole number or 'auto', not 1.5"),
    ],
)
def test_a_shard_count_that_cannot_be_meant_is_refused(given, sentence):
    assert faults(shard_count=given) == (sentence,)


@pytest.mark.parametrize(
    ("given", "intents"),
    [
        ("GUILDS,GUILD_MESSAGES", Intents.GUILDS | Intents.GUILD_MESSAGES),
        ("guilds | guild_messages", Intents.GUILDS | Intents.GUILD_MESSAGES),
        (["GUILDS", "MESSAGE_CONTENT"], Intents.GUILDS | Intents.MESSAGE_CONTENT),
        ("UNPRIVILEGED,MESSAGE_CONTENT", UNPRIVILEGED_INTENTS | Intents.MESSAGE_CONTENT),
        ("ALL", ALL_INTENTS),
        ("privileged", PRIVILEGED_INTENTS),
        ("NONE", Intents(0)),
        (513, Intents.GUILDS | Intents.GUILD_MESSAGES),
        ("513", Intents.GUILDS | Intents.GUILD_MESSAGES),
        (Intents.GUILDS, Intents.GUILDS),
        (0, Intents(0)),
        (1 << 40, Intents(1 << 40)),  # a bit that Discord may define tomorrow
    ],
)
def test_intents_are_names_groups_or_a_number(given, intents):
    assert options(intents=given).intents == intents


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("GUILD_MESAGES", "intents: 'GUILD_MESAGES' is not an intent; did you mean 'GUILD_MESSAGES'?"),
        ("GUILDS,xyz", "intents: 'xyz' is not an intent"),
        ("a1,b2", "intents: 'a1' is not an intent; 'b2' is not an intent"),
        ([], "intents: names no intent; write NONE for none"),
        (-1, "intents: must be a number of intent bits, not -1"),
        (2**53, "intents: must be a number of intent bits, not 9007199254740992"),
        (1.0, "intents: must be names of intents or a number, not 1.0"),
    ],
)
def test_unknown_intents_are_refused_with_the_closest_name(given, sentence):
    assert faults(intents=given) == (sentence,)


@pytest.mark.parametrize("token", ["abc.def.ghi", "Bot abc.def.ghi"])
def test_the_token_may_carry_its_prefix(token):
    assert GatewayOptions(token=token).token.get_secret_value() == "abc.def.ghi"


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "token: is not set; it is the bot token shown under Bot in the developer portal"),
        ("", "token: is not set; it is the bot token shown under Bot in the developer portal"),
        ("abc.def\n", "token: has white space or a line break in it; give the token alone"),
        ("'abc.def'", "token: has a quotation mark in it; give the token alone"),
        ("abc.déf", "token: has a character in it that no bot token has; copy it again"),
        (5, "token: must be a text"),
    ],
)
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(token, sentence):
    assert faults(token=token) == (sentence,)


def test_a_presence_may_be_a_mapping_a_function_json_or_an_import_path():
    def by_shard(shard_id):
        return {"status": "idle", "afk": shard_id > 0}

    assert options(presence={"status": "idle"}).presence == {"status": "idle"}
    assert options(presence='{"status": "dnd"}').presence == {"status": "dnd"}
    assert options(presence=by_shard).presence is by_shard
    assert options(presence="my_bot.presence:for_shard").presence == "my_bot.presence:for_shard"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{", "presence: is not JSON: Expecting property name enclosed in double quotes at character 2"),
        ("[]", 'presence: must be a JSON object such as {"status": "idle"}'),
        ("my_bot", "presence: must be a JSON object or an import path such as 'pkg.mod:function', not 'my_bot'"),
        (3, "presence: must be a JSON object or an import path such as 'pkg.mod:function', not 3"),
        ({"staus": "idle"}, "presence: has an unknown key 'staus'; did you mean 'status'?"),
        ({"status": "idel"}, "presence: has an unknown status 'idel'; did you mean 'idle'?"),
        (
            {"activities": [{"timestamps": {"end": math.nan}}]},
            "presence: has a number that is not finite (NaN or Infinity), which JSON does not know",
        ),
        (
            '{"since": -Infinity}',
            "presence: has a number that is not finite (NaN or Infinity), which JSON does not know",
        ),
        ({"activities": {}}, "presence: has activities that are not a list of objects"),
    ],
)
def test_a_presence_that_discord_would_refuse_is_refused(given, sentence):
    assert faults(presence=given) == (sentence,)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"compression": "zstd"}, "must be zstd-stream, zlib-stream or none, not 'zstd'; did you mean 'zstd-stream'?"),
        ({"log_level": "loud"}, "must be debug, info, warning or error, not 'loud'"),
        ({"log_format": "xml"}, "must be text or json, not 'xml'"),
        ({"large_threshold": 49}, "must be from 50 to 250, not 49"),
        ({"identify_reserve": 91}, "must be from 0 to 90, not 91"),
        ({"force_identify": "perhaps"}, "must be yes, no, true, false, 1 or 0, not 'perhaps'"),
        ({"processes": 0}, "must be from 1 to 100000, not 0"),
        ({"processes": "two"}, "must be a whole number, not 'two'"),
        ({"tasks": "my-bot"}, "'my-bot' is not the name of a module such as 'my_bot.tasks'"),
        ({"tasks": ()}, "names no module"),
        ({"state_url": "state.db"}, "must be redis://host:6379/0, or 'sqlite:///' and a path, without a query"),
        ({"state_url": "sqlite:////"}, "must be redis://host:6379/0, or 'sqlite:///' and a path, without a query"),
        ({"state_url": "redis:///0"}, "must be redis://host:6379/0, or 'sqlite:///' and a path, without a query"),
        ({"api_url": "discord.com"}, "must be a URL that begins with https:// or http://, not 'discord.com'"),
        (
            {"api_url": "http://host:99999"},
            "must be a URL that begins with https:// or http://, not 'http://host:99999'",
        ),
        ({"api_url": "http://a..b"}, "must be a URL that begins with https:// or http://, not 'http://a..b'"),
        ({"api_url": "https://me:pass@host"}, "must not have a user or password in it"),
        (
            {"url": "https://gateway.discord.gg"},
            "must be a URL that begins with wss:// or ws://, not 'https://gateway.discord.gg'",
        ),
    ],
)
def test_other_values_are_checked_too(given, sentence):
    assert faults(**given) == (f"{next(iter(given))}: {sentence}",)


def test_an_api_url_loses_the_slash_at_its_end():
    assert options(api_url="http://127.0.0.1:8080/api/v10/").api_url == "http://127.0.0.1:8080/api/v10"


def test_every_fault_is_reported_together_and_a_bad_count_does_not_hide_bad_intents():
    told = faults(shard_count=2, shards="5", intents="nothing", compression="rar", broker_url="nowhere")

    assert [fault.partition(":")[0] for fault in told] == ["shards", "intents", "broker_url", "compression"]


@pytest.mark.parametrize("alias", sorted(kombu.transport.TRANSPORT_ALIASES.keys() - {"sentinel"}))
def test_every_transport_of_kombu_but_sentinel_is_a_broker(alias):
    assert options(broker_url=f"{alias}://host//").broker_url.scheme == alias.lower()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("localhost:5672", "broker_url: must be a URL such as amqp://user:password@host:5672//"),
        ("amq://host", "broker_url: has an unknown scheme 'amq'; did you mean 'amqp'?"),
        ("AMQP://host", "broker_url: has an unknown scheme 'AMQP'; did you mean 'amqp'?"),
        (
            "sentinel://:hidden@a:26379;sentinel://:hidden@b:26379",
            "broker_url: cannot be Redis Sentinel; name the master, or a proxy in front of it, as redis://host:6379/0",
        ),
        ("amqp://a..b", "broker_url: has a bad host or port; write it like amqp://user:password@host:5672//"),
        (
            "amqp://me:hidden@host:port//",
            "broker_url: has a bad host or port; write it like amqp://user:password@host:5672//",
        ),
        (
            "amqp://me:hid/den@host//",
            "broker_url: has a bad host or port; write it like amqp://user:password@host:5672//",
        ),
    ],
)
def test_a_broker_url_that_leads_nowhere_is_refused_without_its_password(url, sentence):
    assert faults(broker_url=url) == (sentence,)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://me:hidden@host:5672//", "amqp://me:***@host:5672//"),
        ("amqp://me:hid%2Fden@host//", "amqp://me:***@host//"),
        ("redis://:hidden@host/0", "redis://:***@host/0"),
        ("amqp://me:hidden@a:1;amqp://me:hidden@b:2", "amqp://me:***@a:1;amqp://me:***@b:2"),
        ("sqs://host//?aws_secret_access_key=hidden", "sqs://host//?***"),
        ("amqp://host//", "amqp://host//"),
    ],
)
def test_a_broker_url_prints_without_its_password(url, shown):
    given = options(broker_url=url)

    assert str(given.broker_url) == shown
    assert "hidden" not in repr(given)
    assert given.broker_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("rediss://h/0", "rediss://h/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("rediss://a/0;rediss://b/0", "rediss://a/0?ssl_cert_reqs=required;rediss://b/0?ssl_cert_reqs=required"),
        ("redis://h/0", "redis://h/0"),
    ],
)
def test_the_certificate_of_a_redis_is_checked_unless_the_url_says_otherwise(url, used):
    assert options(broker_url=url).broker_url.get_secret_value() == used


def test_the_token_is_in_no_repr():
    assert "abc.def.ghi" not in repr(options()) + str(options())


def test_worker_options_need_no_token():
    assert WorkerOptions(tasks="a.b, c").tasks == ("a.b", "c")


@pytest.mark.parametrize(
    ("given", "address"),
    [("127.0.0.1:9420", "127.0.0.1:9420"), ("[::1]:0", "[::1]:0"), ("gateway:80", "gateway:80"), ("OFF", "None")],
)
def test_a_control_address_is_a_host_and_a_port_or_off(given, address):
    assert str(options(control_address=given).control_address) == address


@pytest.mark.parametrize(
    "given", ["9420", "127.0.0.1", "http://127.0.0.1:80", "a:b", "host:99999", "u@host:1", "host:1/x", ""]
)
def test_other_control_addresses_are_refused(given):
    assert faults(control_address=given) == (
        f"control_address: must be a host and a port such as 127.0.0.1:9420, or 'off', not {given!r}",
    )


@pytest.mark.parametrize(
    ("given", "is_loopback"),
    [("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("0.0.0.0:1", False), ("gateway:1", False)],
)
def test_loopback_is_known(given, is_loopback):
    assert options(control_address=given).control_address.is_loopback is is_loopback


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({"state_url": "redis://state/0"}, "redis://state/0"),
        ({"state_url": "redis://state/0", "once_url": "redis://once/0"}, "redis://once/0"),
    ],
)
def test_runs_are_noted_in_the_shared_state_unless_told_otherwise(given, url):
    shared = WorkerOptions(**given).shared_once_url

    assert (shared and shared.get_secret_value()) == url
