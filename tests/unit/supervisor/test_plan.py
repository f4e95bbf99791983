import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.supervisor.plan import as_ranges, processes_for, shards_to_run


def test_no_choice_means_every_shard():
    assert shards_to_run(None, 4) == (0, 1, 2, 3)


def test_chosen_shards_come_in_order_and_once():
    assert shards_to_run([9, 1, 1, 2], 16) == (1, 2, 9)


@pytest.mark.parametrize(
    ("shards", "num_shards", "sentence"),
    [
        (
            [0, 4],
            4,
            r"shards: names shard 4, but the shard count is 4: ids go from 0 to 3 \(GATEWAY_SHARDS, --shards\)",
        ),
        ([-1], 4, r"shards: names shard -1.*GATEWAY_SHARDS"),
        ([], 4, r"shards: names no shard.*GATEWAY_SHARDS, --shards"),
        (None, 0, r"shard_count: must be at least 1, not 0 \(GATEWAY_SHARD_COUNT\)"),
        ([0], -1, "shard_count: must be at least 1, not -1"),
    ],
)
def test_what_cannot_be_run_is_one_clear_sentence(shards, num_shards, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        shards_to_run(shards, num_shards)


@pytest.mark.parametrize(
    ("shards", "processes", "cpus", "blocks"),
    [
        (range(4), 2, 8, ((0, 1), (2, 3))),
        (range(5), 2, 8, ((0, 1), (2, 3, 4))),
        (range(4), None, 2, ((0, 1), (2, 3))),
        (range(2), None, 8, ((0,), (1,))),
        (range(2), 9, 8, ((0,), (1,))),
        (range(3), 1, 8, ((0, 1, 2),)),
        ((3, 8, 9), 3, 1, ((3,), (8,), (9,))),
    ],
)
def test_shards_are_divided_in_contiguous_blocks(shards, processes, cpus, blocks):
    assert processes_for(tuple(shards), processes, cpus) == blocks


def test_no_process_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="GATEWAY_PROCESSES"):
        processes_for((0,), 0, 1)


@pytest.mark.parametrize(
    ("shard_ids", "text"), [((), ""), ((3,), "3"), ((0, 1, 2, 3, 8), "0-3,8"), ((1, 3, 4), "1,3-4")]
)
def test_shard_ids_are_written_as_ranges(shard_ids, text):
    assert as_ranges(shard_ids) == text
