"""The registry: every operation can be reached by every door, by names that do not clash."""

import pytest

from gateway_service.control.operations import OPERATIONS
from gateway_service.refusals import ControlError

ALL = list(OPERATIONS.values())


def test_paths_are_unique_and_versioned():
    paths = [(operation.method, operation.path) for operation in ALL]

    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/v1/") for _, path in paths)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_inspecting_is_get_and_needs_no_body(operation):
    assert (operation.kind == "inspect") == (operation.method == "GET")
    assert operation.help.endswith(".")


def test_every_error_has_its_own_code():
    codes = [kind.code for kind in ControlError.__subclasses__()]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", ControlError.__subclasses__(), ids=lambda kind: kind.code)
def test_an_error_crosses_hosts(kind):
    there = kind("a reason", shard_id=3, retry_after_s=1.5)

    here = ControlError.from_json(there.to_json("gateway@there"))

    assert (type(here).code, str(here), here.shard_id, here.retry_after_s) == (kind.code, "a reason", 3, 1.5)
    assert here.host == "gateway@there"
