"""Shards over processes, however many there are of either."""

from hypothesis import given
from hypothesis import strategies as st

from gateway_service.supervisor.plan import processes_for


@given(st.integers(1, 500), st.one_of(st.none(), st.integers(1, 700)), st.integers(1, 64))
def test_every_shard_is_in_one_block_and_blocks_are_even(num_shards, processes, cpus):
    blocks = processes_for(tuple(range(num_shards)), processes, cpus)
    sizes = [len(block) for block in blocks]

    assert [shard_id for block in blocks for shard_id in block] == list(range(num_shards))
    assert max(sizes) - min(sizes) <= 1
    assert len(blocks) == min(num_shards, processes or cpus)
