import pytest

from gateway_service.protocol.constants import (
    ALL_INTENTS,
    FATAL_CLOSE_CODES,
    UNPRIVILEGED_INTENTS,
    is_suspect,
    shard_id_of,
)


def test_all_documented_intents_add_up_to_discords_sum():
    assert int(ALL_INTENTS) == 53608447


def test_intents_without_the_privileged_ones_add_up_to_discords_sum():
    assert int(UNPRIVILEGED_INTENTS) == 53575421


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
def test_a_fatal_code_allows_no_reconnect(code):
    assert code in FATAL_CLOSE_CODES


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1012, 4000, 4001, 4002, 4007, 4008, 4009, 4099])
def test_any_other_code_allows_a_reconnect(code):
    assert code not in FATAL_CLOSE_CODES


@pytest.mark.parametrize(
    ("code", "suspect"),
    [(None, False), (1000, False), (3000, False), (4000, False), (4005, True), (4008, False), (4015, True)],
)
def test_codes_after_which_a_second_resume_is_pointless(code, suspect):
    assert is_suspect(code) is suspect


def test_a_guild_belongs_to_the_shard_of_discords_formula():
    assert shard_id_of(1574506063359647786, 16) == (1574506063359647786 >> 22) % 16
