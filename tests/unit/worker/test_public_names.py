import subprocess
import sys

import pytest

import gateway_service

HEAVY = ("celery", "kombu", "pydantic", "httpx", "websockets")


def test_importing_the_package_is_cheap():
    script = f"import sys, gateway_service; print([name for name in {HEAVY!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["Dispatch", "GatewayOptions", "on"])
def test_a_public_name_is_there_when_it_is_used(name):
    assert getattr(gateway_service, name).__module__.startswith("gateway_service.")


def test_another_name_is_not_there():
    with pytest.raises(AttributeError, match="module 'gateway_service' has no attribute 'off'"):
        _ = gateway_service.off


def test_the_public_names_are_listed():
    assert set(gateway_service.__all__) <= set(dir(gateway_service))
