"""Pods: which shards each runs, and what is said when that cannot be."""

import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.settings import GatewayOptions, load_options
from gateway_service.settings.pods import parse_ordinal, shards_of_pod
from gateway_service.settings.values import BadValue


def options(**given):
    return GatewayOptions(**{"token": "abc.def.ghi", **given})


def faults(**given):
    with pytest.raises(ConfigurationError) as refused:
        options(**given)
    return refused.value.faults


@pytest.mark.parametrize(
    ("ordinal", "shard_ids"), [(0, range(8)), (3, range(24, 32)), ("3", range(24, 32)), (4, range(32, 35))]
)
def test_a_pod_runs_its_part_and_the_last_one_what_is_left(ordinal, shard_ids):
    assert options(shard_count=35, shards_per_pod="8", ordinal=ordinal).shards == tuple(shard_ids)


@pytest.mark.parametrize("per_pod", [1, 7, 16, 300])
def test_all_pods_together_run_every_shard_once(per_pod):
    for shard_count in range(1, 301):
        pods = range(-(-shard_count // per_pod))
        shard_ids = [shard_id for ordinal in pods for shard_id in shards_of_pod(ordinal, per_pod, shard_count)]

        assert shard_ids == list(range(shard_count))


@pytest.mark.parametrize(
    ("host_name", "ordinal"), [("gateway-3", 3), ("my-bot-0", 0), ("bot-12.bots.svc.cluster.local", 12)]
)
def test_a_pod_is_named_by_its_host(host_name, ordinal):
    assert parse_ordinal(None, is_pod=True, host_name=host_name) == ordinal


@pytest.mark.parametrize("host_name", ["gateway", "gateway3", "gateway.example-3.org", "bot-", "gateway-7d9f-x2x", ""])
def test_a_host_name_without_a_number_is_told(host_name):
    with pytest.raises(BadValue, match=rf"^is not set, and the host name {host_name!r} does not end in one"):
        parse_ordinal(None, is_pod=True, host_name=host_name)


def test_a_host_that_is_no_pod_has_no_ordinal():
    assert parse_ordinal(None, is_pod=False, host_name="gateway-3") is None
    assert (options().ordinal, options().shards) == (None, None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"shard_count": 32, "shards_per_pod": 8, "ordinal": 4},
            "ordinal: pod 4 would begin at shard 32, but the shard count is 32: with 8 in each, pods go from 0 to 3",
        ),
        (
            {"shard_count": 32, "shards_per_pod": 8, "ordinal": 0, "shards": "0-3"},
            "shards: names the shards that run here, and shards_per_pod does too; keep one",
        ),
        (
            {"shards_per_pod": 8, "ordinal": 0},
            "shards_per_pod: needs a shard_count that is a number, the same for all pods (GATEWAY_SHARD_COUNT)",
        ),
        (
            {"shard_count": "many", "shards_per_pod": 8, "ordinal": 0},
            "shard_count: must be a whole number or 'auto', not 'many'",
        ),
        ({"shard_count": 4, "shards_per_pod": 0}, "shards_per_pod: must be from 1 to 100000, not 0"),
        (
            {"shard_count": 4, "shards_per_pod": 2, "ordinal": "first"},
            "ordinal: must be a whole number, not 'first'",
        ),
        (
            {"shard_count": 4, "ordinal": 1},
            "ordinal: means nothing without shards_per_pod (GATEWAY_SHARDS_PER_POD, --shards-per-pod)",
        ),
    ],
)
def test_pods_that_cannot_be_meant_are_refused_in_one_sentence(given, sentence):
    assert faults(**given) == (sentence,)


def test_a_fault_names_the_place_it_was_found_in():
    env = {"DISCORD_TOKEN": "abc.def.ghi", "GATEWAY_SHARD_COUNT": "4", "GATEWAY_SHARDS_PER_POD": "no"}

    with pytest.raises(ConfigurationError) as refused:
        load_options({"ordinal": "1"}, env)

    assert refused.value.faults == ("GATEWAY_SHARDS_PER_POD: must be a whole number, not 'no'",)
