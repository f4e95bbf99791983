import math

import pytest

from gateway_service.control.client import ControlClient
from gateway_service.control.operations import OPERATIONS
from gateway_service.refusals import InvalidArgument
from gateway_service.settings import ControlOptions


@pytest.mark.parametrize("wait_s", [math.nan, math.inf, -1.0])
def test_wrong_arguments_are_refused_before_anything_is_sent(wait_s):
    with (
        ControlClient(ControlOptions()) as client,
        pytest.raises(InvalidArgument, match="restart_shard: wait_s: Input should be"),
    ):
        client.perform(OPERATIONS["restart_shard"], {"shard_id": 3, "wait_s": wait_s})


def test_a_presence_that_is_no_json_is_refused_before_anything_is_sent():
    presence = {"activities": [{"name": "x", "timestamps": {"end": math.nan}}]}

    with (
        ControlClient(ControlOptions()) as client,
        pytest.raises(InvalidArgument, match=r"update_presence: presence: .*not finite"),
    ):
        client.perform(OPERATIONS["update_presence"], {"presence": presence})
