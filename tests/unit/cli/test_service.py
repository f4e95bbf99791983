"""How what failed is told to people."""

import pytest

from gateway_service.cli.service import Caller
from gateway_service.errors import EX_REFUSED


def failure(message, shard_id=None, host="gateway@there"):
    return {"code": "not_ready", "message": message, "shard_id": shard_id, "host": host}


@pytest.mark.parametrize(
    ("failures", "lines"),
    [
        ([failure("its store is away", shard_id) for shard_id in (4, 5, 7)], [" (shards 4-5,7 of gateway@there)"]),
        ([failure("its store is away")], [""]),
        ([failure("its store is away", 4), failure("its store is away", 8, "gateway@third")], ["", ""]),
    ],
)
def test_what_shards_of_a_host_have_in_common_is_one_line(capsys, failures, lines):
    code = Caller(None, as_json=False).say({"failures": failures}, "shown by shards 0-3")

    printed = capsys.readouterr()
    assert (code, printed.out) == (EX_REFUSED, "shown by shards 0-3\n")
    assert printed.err.splitlines() == [f"not_ready: its store is away{line}" for line in lines]
