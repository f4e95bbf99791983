"""What ``celery control`` says of an argument before anything is sent."""

import click
import pytest
from celery.worker.control import Panel

from gateway_service.control import celery_commands


def read(operation, name, text):
    celery_commands.install()
    return dict(Panel.meta[operation].args)[name](text)


@pytest.mark.parametrize(
    ("operation", "name", "text", "fault"),
    [
        ("restart_shard", "mode", "sideways", "mode: Input should be 'resume' or 'identify'"),
        ("restart_shard", "shard_id", "three", "shard_id: Input should be a valid integer, unable to parse string"),
        ("update_presence", "presence", '{"status": "busy"}', "presence: has an unknown status 'busy'"),
        ("update_presence", "presence", "{status", "presence: is not JSON: Expecting property name"),
        ("update_presence", "shard_ids", "1,2", "shard_ids: Input should be a valid list"),
    ],
)
def test_a_bad_argument_is_told_with_the_code_of_every_door(operation, name, text, fault):
    with pytest.raises(click.UsageError) as refused:
        read(operation, name, text)

    assert refused.value.message.startswith(f"invalid_argument: {fault}")
    assert refused.value.message.splitlines()[1].startswith(f"Usage: {operation} ")


@pytest.mark.parametrize(
    ("operation", "name", "text", "value"),
    [
        ("restart_shard", "mode", "identify", "identify"),
        ("update_presence", "presence", '{"status": "dnd"}', {"status": "dnd"}),
        ("update_presence", "presence", "null", None),
        ("update_presence", "shard_ids", "[1, 2]", [1, 2]),
    ],
)
def test_an_argument_is_text_or_json(operation, name, text, value):
    assert read(operation, name, text) == value
