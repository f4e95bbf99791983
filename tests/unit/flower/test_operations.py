"""Every operation of the registry has a form, and what is written into it is checked as on every other door."""

import pytest

from gateway_service.control.operations import OPERATIONS
from gateway_service.flower.operations import described, filled_in
from gateway_service.refusals import InvalidArgument


def test_every_operation_is_described_with_its_arguments():
    by_name = {each["name"]: each for each in described()}

    assert by_name.keys() == OPERATIONS.keys()
    assert by_name["drain"] == {
        "name": "drain",
        "kind": "control",
        "help": "Flush, keep the sessions, end this supervisor.",
        "wants_host": True,
        "arguments": [],
    }
    assert by_name["restart_shard"]["arguments"] == [
        {"name": "shard_id", "required": True, "choices": [], "default": None},
        {"name": "mode", "required": False, "choices": ["resume", "identify"], "default": "resume"},
        {"name": "wait_s", "required": False, "choices": [], "default": "0.0"},
    ]


def test_text_becomes_what_the_operation_takes():
    texts = {"guild_id": "81384788765712384", "user_ids": '["7"]', "presences": "true", "timeout_s": "2.5"}

    operation, arguments = filled_in("request_guild_members", texts, "")

    assert operation.name == "request_guild_members"
    assert arguments.model_dump(exclude_unset=True) == {
        "guild_id": 81384788765712384,
        "user_ids": [7],
        "presences": True,
        "timeout_s": 2.5,
    }


@pytest.mark.parametrize(
    ("name", "texts", "sentence"),
    [
        ("drain", {}, "drain: concerns one host; choose it"),
        ("nothing", {}, "there is no operation 'nothing'"),
        ("update_presence", {"presence": "{"}, "update_presence: presence: is not valid JSON"),
        ("where_is", {"guild_id": "x"}, "where_is: guild_id: "),
    ],
)
def test_what_is_written_wrongly_is_one_sentence(name, texts, sentence):
    with pytest.raises(InvalidArgument) as refusal:
        filled_in(name, texts, "")

    assert str(refusal.value).startswith(sentence)
