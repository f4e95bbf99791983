"""``gateway-service dead`` on real brokers. How messages come there: tests/integration/worker."""

import json

import pytest

from gateway_service.cli.main import run
from gateway_service.contract import DEAD_QUEUE
from gateway_service.errors import EX_OK, EX_UNAVAILABLE, EX_USAGE
from gateway_service.topology import DEAD
from gateway_service.worker import event_queue
from tests.support.connection import connection_to
from tests.support.waiting import wait_until
from tests.support.worker import take

QUEUE = "default.MESSAGE_CREATE"
SECRET = "only who asks for it may see this"


@pytest.fixture(params=[pytest.param("rabbitmq_url", marks=pytest.mark.rabbitmq), "valkey_url"])
def url(request, monkeypatch):
    url = request.getfixturevalue(request.param)
    monkeypatch.setenv("GATEWAY_BROKER_URL", url)
    with connection_to(url) as connection:
        DEAD(connection.default_channel).declare()
        event_queue("MESSAGE_CREATE", quorum=url.startswith("amqp"))(connection.default_channel).declare()
    return url


def bury(url, message_id, **headers):
    with connection_to(url, transport_options={"confirm_publish": True}) as connection:
        connection.Producer().publish(
            json.dumps([[{"content": SECRET}], {}, {}]),
            exchange="",
            routing_key=DEAD_QUEUE,
            content_type="application/json",
            content_encoding="utf-8",
            headers={
                "id": message_id,
                "task": "bot.greet",
                "event": "MESSAGE_CREATE",
                "queue": QUEUE,
                "retries": 3,
                "reason": "raised ValueError after 3 retries",
                "died_at": 1_700_000_000.0,
                **headers,
            },
        )


@pytest.fixture
def two(url):
    bury(url, "a")
    bury(url, "b", task="bot.count", reason="its body is not JSON")
    return url


def listed(capsys, *arguments):
    assert run(["dead", "list", "--json", *arguments]) == EX_OK
    return [letter["id"] for letter in json.loads(capsys.readouterr().out)]


def wait_until_listed(capsys, *ids):
    """Wait for exactly these, since RabbitMQ gives back what was looked at in its own time."""
    capsys.readouterr()
    wait_until(lambda: listed(capsys) == [*ids])


@pytest.mark.usefixtures("two")
def test_looking_changes_nothing(capsys):
    for _ in range(3):
        wait_until_listed(capsys, "a", "b")


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["--reason", "valueerror"], ["a"]),
        (["--task", "bot.count"], ["b"]),
        (["--event", "MESSAGE"], ["a", "b"]),
        (["--group", "default", "--limit", "1"], ["a"]),
        (["--group", "billing"], []),
    ],
)
def test_filters_narrow_the_list(capsys, filters, ids):
    assert listed(capsys, *filters) == ids


@pytest.mark.usefixtures("two")
def test_the_table_shows_whole_ids_and_reasons_and_no_content(capsys):
    assert run(["dead", "list"]) == EX_OK

    printed = capsys.readouterr().out
    assert "raised ValueError after 3 retries" in printed
    assert "2 dead, 2 shown" in printed
    assert SECRET not in printed


@pytest.mark.usefixtures("two")
def test_content_is_shown_to_who_asks_for_it(capsys):
    assert run(["dead", "show", "a"]) == EX_OK
    without = capsys.readouterr().out
    wait_until_listed(capsys, "a", "b")
    assert run(["dead", "show", "a", "--content"]) == EX_OK
    with_content = capsys.readouterr().out

    assert "raised ValueError" in without
    assert SECRET not in without
    assert SECRET in with_content


def test_a_requeued_message_begins_a_new_life_in_its_own_queue(two, capsys):
    assert run(["dead", "requeue", "a"]) == EX_OK

    wait_until_listed(capsys, "b")
    headers = take(two, QUEUE).headers
    assert (headers["id"], headers["task"], headers["retries"], headers["requeues"]) == ("a", "bot.greet", 0, 1)
    assert "reason" not in headers


def test_all_that_match_are_requeued(two, capsys):
    assert run(["dead", "requeue", "--all", "--reason", "json"]) == EX_OK

    assert capsys.readouterr().out == "1 requeued\n"
    assert take(two, QUEUE).headers["id"] == "b"
    assert take(two, QUEUE) is None


def test_a_message_whose_queue_is_gone_stays_dead(url, capsys):
    bury(url, "a", queue="removed.MESSAGE_CREATE")

    assert run(["dead", "requeue", "--all"]) == EX_UNAVAILABLE

    printed = capsys.readouterr()
    assert printed.err == "a stays dead: its queue 'removed.MESSAGE_CREATE' does not exist any more\n"
    wait_until_listed(capsys, "a")


def test_what_became_of_messages_is_told_as_json(two, capsys):
    bury(two, "c", task="bot.gone", queue="removed.MESSAGE_CREATE")

    assert run(["dead", "requeue", "--json", "--all", "--reason", "ValueError"]) == EX_UNAVAILABLE

    answer = json.loads(capsys.readouterr().out)
    assert answer["requeued"] == ["a"]
    assert [(each["id"], each["code"]) for each in answer["failures"]] == [("c", "unavailable")]
    wait_until_listed(capsys, "b", "c")
    assert run(["dead", "drop", "--json", "b", "--yes"]) == EX_OK
    assert json.loads(capsys.readouterr().out) == {"dropped": ["b"], "failures": []}


@pytest.mark.parametrize("arguments", [["list"], ["show", "a"]])
def test_a_terminal_does_not_obey_a_dead_message(url, capsys, arguments):
    bury(url, "a", task="bot\x9b2Jgreet", reason="\x1b]0;owned\x07")

    assert run(["dead", *arguments]) == EX_OK

    printed = capsys.readouterr().out
    assert "owned" in printed
    assert not {"\x1b", "\x07", "\x9b"} & set(printed)


@pytest.mark.usefixtures("two")
def test_what_is_dropped_is_gone(capsys):
    assert run(["dead", "drop", "a", "--yes"]) == EX_OK
    wait_until_listed(capsys, "b")

    def is_dropped():
        assert run(["dead", "drop", "--all", "--task", "count", "--yes"]) == EX_OK
        return capsys.readouterr().out == "1 dropped\n"

    wait_until(is_dropped)

    assert listed(capsys) == []


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "c"], "no dead message has the id c"),
        (["requeue"], "give the ids of messages, or --all, which the filters narrow"),
        (["drop", "a", "--all"], "give the ids of messages, or --all, which the filters narrow"),
        (["drop", "a", "c", "--yes"], "no dead message has the id c"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence_and_changes_nothing(capsys, arguments, sentence):
    assert run(["dead", *arguments]) == EX_USAGE
    assert sentence in capsys.readouterr().err

    wait_until_listed(capsys, "a", "b")


@pytest.mark.usefixtures("url")
def test_no_news_are_good_news(capsys):
    assert run(["dead", "list"]) == EX_OK

    assert capsys.readouterr().out == "No message is dead.\n"


def test_a_broker_that_does_not_answer_is_named_without_its_password(capsys, monkeypatch):
    monkeypatch.setenv("GATEWAY_BROKER_URL", "amqp://me:hunter22@127.0.0.1:1//")

    assert run(["dead", "list"]) == EX_UNAVAILABLE

    printed = capsys.readouterr().err
    assert "127.0.0.1:1" in printed
    assert "hunter22" not in printed


@pytest.mark.parametrize("arguments", [["list"], ["show", "a"], ["requeue", "a"], ["drop", "a", "--yes"]])
def test_why_there_is_no_answer_is_json_too(arguments, capsys, monkeypatch):
    monkeypatch.setenv("GATEWAY_BROKER_URL", "amqp://127.0.0.1:1//")

    assert run(["dead", *arguments, "--json"]) == EX_UNAVAILABLE

    [failure] = json.loads(capsys.readouterr().out)["failures"]
    assert failure["code"] == "unavailable"
