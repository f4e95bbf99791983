import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.worker.configuration import celery_settings


def test_a_worker_needs_no_token():
    assert celery_settings({})["broker_url"] == "amqp://guest:guest@127.0.0.1:5672//"


def test_a_broken_token_is_not_the_workers_business():
    assert celery_settings({"DISCORD_TOKEN": "not a token"})


def test_the_modules_of_tasks_are_included():
    assert tuple(celery_settings({"GATEWAY_TASKS": "bot.messages,bot.members"})["include"]) == (
        "bot.messages",
        "bot.members",
    )


def test_the_gateways_broker_is_the_workers():
    # Celery takes CELERY_BROKER_URL before any configuration, so the two must not differ.
    environment = {"GATEWAY_BROKER_URL": "amqp://ours//", "CELERY_BROKER_URL": "amqp://other//"}

    settings = celery_settings(environment)

    assert (settings["broker_url"], environment["CELERY_BROKER_URL"]) == ("amqp://ours//", "amqp://ours//")


def test_the_broker_of_celery_is_taken_without_one_of_ours():
    assert celery_settings({"CELERY_BROKER_URL": "redis://h/0"})["broker_url"] == "redis://h/0"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://h/0", {"visibility_timeout": 60, "socket_timeout": 20}),
        ("rediss://h/0", {"visibility_timeout": 60, "socket_timeout": 20}),
        ("amqp://h//", {"read_timeout": 20}),
        ("amqps://h//", {"read_timeout": 20}),
        ("sqs://", {}),
    ],
)
def test_no_broker_makes_a_worker_wait_for_ever(url, options):
    told = celery_settings({"GATEWAY_BROKER_URL": url})["broker_transport_options"]

    assert {name: value for name, value in told.items() if name != "socket_settings"} == options


def test_a_dispatch_is_never_acknowledged_before_it_was_handled():
    settings = celery_settings({})

    assert settings["task_acks_late"]
    assert settings["task_reject_on_worker_lost"]


def test_a_wrong_setting_is_an_error():
    with pytest.raises(ConfigurationError, match="GATEWAY_BROKER_URL"):
        celery_settings({"GATEWAY_BROKER_URL": "nonsense"})
