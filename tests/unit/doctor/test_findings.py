"""What doctor makes of what it was answered."""

import pytest

from gateway_service.doctor.findings import (
    Finding,
    NotMade,
    StateSeen,
    broker_finding,
    clock_finding,
    exit_code_of,
    settings_read,
    settings_refused,
    shards_finding,
    spool_finding,
    state_finding,
    token_finding,
)
from gateway_service.errors import (
    EX_CONFIG,
    EX_OK,
    EX_UNAVAILABLE,
    ApiUnavailable,
    BrokerUnavailable,
    ConfigurationError,
    SpoolUnavailable,
    StateUnavailable,
    TokenRefused,
)
from gateway_service.publisher import Room
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor.gateway_info import GatewayInfo


def options(**given):
    return GatewayOptions(**{"token": "abc.def.ghi", "processes": 2, **given})


def info(**given):
    answer = {
        "url": "wss://gateway.discord.gg",
        "shards": 4,
        "max_concurrency": 1,
        "identifies_total": 1000,
        "identifies_remaining": 900,
        "reset_after_s": 3600.0,
        "clock_offset_s": 0.5,
    }
    return GatewayInfo(**{**answer, **given})


def verdict(finding):
    return (finding.check, finding.verdict, finding.exit_code)


def test_every_fault_of_the_settings_is_a_finding_of_its_own():
    findings = settings_refused(ConfigurationError("A: x", "B: y"))

    assert [finding.message for finding in findings] == ["A: x", "B: y"]
    assert exit_code_of(findings) == EX_CONFIG


def test_privileged_intents_are_named_with_where_to_switch_them_on():
    finding = settings_read(options(intents="GUILDS,MESSAGE_CONTENT"))

    assert finding.message == "complete; privileged intents: MESSAGE_CONTENT"
    assert finding.cure == "switch them on in the developer portal"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (info(), ("token", "ok", EX_OK)),
        (TokenRefused(), ("token", "fail", EX_CONFIG)),
        (ApiUnavailable("https://discord.com", "refused"), ("token", "fail", EX_UNAVAILABLE)),
        (TimeoutError(), ("token", "fail", EX_UNAVAILABLE)),
    ],
)
def test_the_token_is_judged_by_the_answer_of_the_api(answer, expected):
    assert verdict(token_finding(options(), answer)) == expected


@pytest.mark.parametrize("offset_s", [-2.0, 0.0, 2.0])
def test_a_clock_within_the_precision_of_the_answer_agrees(offset_s):
    assert clock_finding(info(clock_offset_s=offset_s)).verdict == "ok"


@pytest.mark.parametrize(("offset_s", "words"), [(90.0, "90 s ahead of"), (-5.0, "5 s behind")])
def test_a_clock_that_is_off_is_told_by_how_much(offset_s, words):
    finding = clock_finding(info(clock_offset_s=offset_s))

    assert finding.verdict == "warn"
    assert finding.message.startswith(words)


@pytest.mark.parametrize("answer", [info(clock_offset_s=None), TokenRefused(), TimeoutError()])
def test_without_the_time_of_the_api_the_clock_is_not_judged(answer):
    assert clock_finding(answer).verdict == "skip"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, ("broker", "ok", EX_OK)),
        ("low on memory", ("broker", "warn", EX_OK)),
        (BrokerUnavailable("amqp://host//", "refused"), ("broker", "fail", EX_UNAVAILABLE)),
        (ConfigurationError("broker_url: no transport"), ("broker", "fail", EX_CONFIG)),
    ],
)
def test_the_broker_is_judged_by_what_connecting_gave(outcome, expected):
    assert verdict(broker_finding(options(), outcome)) == expected


def test_the_broker_is_shown_without_its_password():
    finding = broker_finding(options(broker_url="amqp://me:hidden@host//"), None)

    assert finding.message == "amqp://me:***@host// takes messages"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (StateSeen(3), ("state", "ok", EX_OK)),
        (StateSeen(3, "allkeys-lru"), ("state", "warn", EX_OK)),
        (NotMade(), ("state", "ok", EX_OK)),
        (StateUnavailable("/x", "the disk is full"), ("state", "fail", EX_UNAVAILABLE)),
        (ConfigurationError("state_url: bad"), ("state", "fail", EX_CONFIG)),
        (TimeoutError(), ("state", "fail", EX_UNAVAILABLE)),
    ],
)
def test_the_state_is_judged_by_what_writing_gave(outcome, expected):
    assert verdict(state_finding(options(), outcome)) == expected


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (StateSeen(2), "sqlite:////x is writable, 2 sessions to resume"),
        (StateSeen(None), "sqlite:////x is writable"),
        (StateSeen(2, "volatile-lru"), "sqlite:////x is writable, but drops keys when it is full (volatile-lru)"),
        (NotMade(), "sqlite:////x is not there yet; a start makes it"),
    ],
)
def test_sessions_are_counted_where_the_shards_are_known(outcome, message):
    assert state_finding(options(state_url="sqlite:////x"), outcome).message == message


@pytest.mark.parametrize(
    ("outcome", "expected", "message"),
    [
        (None, ("spool", "ok", EX_OK), "not used (GATEWAY_SPOOL_MAX_BYTES=0)"),
        (Room(2**31 + 2**25, 2**25), ("spool", "ok", EX_OK), "/x is writable, with room for 2,048 MiB"),
        (
            Room(2**30, 2**25),
            ("spool", "warn", EX_OK),
            "/x is writable, with room for 992 MiB of the 2,048 MiB that may come",
        ),
        (
            SpoolUnavailable("/x/1", "it cannot be made or written: Permission denied: /x"),
            ("spool", "fail", EX_UNAVAILABLE),
            "the spool at /x/1 is not available: it cannot be made or written: Permission denied: /x",
        ),
        (TimeoutError(), ("spool", "fail", EX_UNAVAILABLE), "/x did not answer"),
    ],
    ids=["not used", "room for all", "room for some", "not writable", "silent"],
)
def test_the_spool_is_judged_by_its_folder_and_its_disk(outcome, expected, message):
    finding = spool_finding(options(spool_dir="/x"), outcome, processes=2)

    assert verdict(finding) == expected
    assert finding.message == message


def test_the_plan_tells_shards_processes_budget_and_time():
    finding = shards_finding(options(shard_count=5), info(shards=5), resumable=2)

    assert finding.verdict == "ok"
    assert finding.message == "5 of 5 in 2 processes; 3 to identify of 900 left today, which takes at least 11 s"


def test_identify_keys_share_the_time():
    finding = shards_finding(options(shard_count=32), info(max_concurrency=16), resumable=0)

    assert finding.message.endswith("which takes at least 6 s")


def test_fewer_shards_than_discord_recommends_is_a_warning():
    finding = shards_finding(options(shard_count=2), info(shards=4), resumable=0)

    assert verdict(finding) == ("shards", "warn", EX_OK)
    assert finding.message.endswith("Discord recommends 4 shards")


def test_a_budget_that_does_not_last_is_a_fault():
    finding = shards_finding(options(), info(identifies_remaining=3, reset_after_s=3541), resumable=0)

    assert verdict(finding) == ("shards", "fail", EX_UNAVAILABLE)
    assert "wait 60 min" in finding.cure


def test_sessions_that_resume_need_no_budget():
    assert shards_finding(options(), info(identifies_remaining=0), resumable=4).verdict == "ok"


def test_a_shard_beyond_the_automatic_count_is_a_fault():
    assert verdict(shards_finding(options(shards=[4]), info(), resumable=0)) == ("shards", "fail", EX_CONFIG)


def test_without_the_api_the_plan_is_not_judged():
    assert shards_finding(options(), TimeoutError(), resumable=0).verdict == "skip"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], EX_OK),
        ([EX_OK], EX_OK),
        ([EX_OK, EX_UNAVAILABLE], EX_UNAVAILABLE),
        ([EX_UNAVAILABLE, EX_CONFIG], EX_CONFIG),
    ],
)
def test_a_wrong_setting_outweighs_an_absent_service(codes, expected):
    findings = [Finding(check="x", verdict="ok", message="", exit_code=code) for code in codes]

    assert exit_code_of(findings) == expected
