"""A real Prometheus as a private child process, and what the dashboards and alert rules ask of it."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
STOP_TIMEOUT_S = 60.0
# What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "1m", "$bot": ".*", "$shard": "0"}


def program(name: str) -> str:
    """Return the path of a program of Prometheus; skip where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus)")
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Return everything that is asked, as Prometheus gets it."""
    asked = [rule["expr"] for rule in rules()]
    for path in DASHBOARDS:
        asked += [target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"]]
    for name, value in VARIABLES.items():
        asked = [expression.replace(name, value) for expression in asked]
    return asked


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bgateway_\w+", expression))


class Prometheus:
    """Scrapes and evaluates every second."""

    def __init__(self, directory: Path, jobs: Sequence[Mapping[str, Any]], *, is_hasty: bool) -> None:
        """Start it.

        Args:
            directory: For its configuration and data.
            jobs: Of ``scrape_configs``.
            is_hasty: Every fault need last for a second only; otherwise the rules are as they are.
        """
        alerts = ALERTS.read_text("utf-8")
        (directory / "alerts.yml").write_text(re.sub(r"\bfor: \w+", "for: 1s", alerts) if is_hasty else alerts)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": jobs,
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._log = directory / "prometheus.log"
        command = [
            program("prometheus"),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=directory
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer, which must be a success."""
        answer = self._client.get(path, params=parameters).json()
        assert answer["status"] == "success", (parameters, answer.get("error"))
        return answer["data"]

    def wait_until_scraped(self) -> None:
        """Wait until every target was read."""
        wait_until(self._is_scraped)

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("/alerts")["alerts"] if alert["state"] == "firing"}

    def metric_names(self) -> set[str]:
        """Return the names under which a sample may come, also of metrics that have none yet."""
        names = set()
        for name, told in self.get("/metadata").items():
            # OpenMetrics, which workers speak, has the suffix of a counter at its samples only.
            suffixes = {
                "counter": ["_total"],
                "histogram": ["_bucket", "_sum", "_count"],
                "summary": ["_sum", "_count"],
            }
            names |= {name, *(f"{name}{suffix}" for suffix in suffixes.get(told[0]["type"], []))}
        return names

    def stop(self) -> None:
        self._client.close()
        self.process.terminate()
        self.process.wait(STOP_TIMEOUT_S)

    def _is_scraped(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            targets = self.get("/targets")["activeTargets"]
        except (httpx.TransportError, json.JSONDecodeError):  # it is starting
            return False
        return bool(targets) and all(target["health"] == "up" for target in targets)


@contextmanager
def running_prometheus(
    directory: Path, jobs: Sequence[Mapping[str, Any]], *, is_hasty: bool = False
) -> Iterator[Prometheus]:
    prometheus = Prometheus(directory, jobs, is_hasty=is_hasty)
    try:
        prometheus.wait_until_scraped()
        yield prometheus
    finally:
        prometheus.stop()
