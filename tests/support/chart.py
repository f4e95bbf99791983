"""The Helm chart, rendered by Helm."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/gateway-service"
EXAMPLES = sorted((ROOT / "deploy/helm/examples").glob("*.yaml"))
OLDEST_KUBERNETES = "1.28"
NEWEST_KUBERNETES = "1.37"
CUSTOM_GROUPS = ("keda.sh", "monitoring.coreos.com", "rabbitmq.com")

Objects = list[dict[str, Any]]


class RenderFailed(Exception):
    """Helm refused the values."""


TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway-service-tests/chart"
"""What ``./run chart-tools`` makes."""


@cache
def tool(name: str) -> str:
    """Return the path of a program that ``./run chart-tools`` provides; skip where it is not."""
    found = shutil.which(name, path=f"{TOOLS / 'bin'}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not here; ./run chart-tools gets it, which needs Go")
    return found


@cache
def definition(api_version: str, kind: str) -> dict[str, Any]:
    """Return the schema of a custom resource, which allows nothing that it does not name; skip where there is none.

    A cluster drops what a definition does not name without a word, or refuses it, as Helm 4 asks it to.
    """
    group, _, version = api_version.partition("/")
    path = TOOLS / "definitions" / f"{group}_{kind.lower()}s.yaml"
    if not path.exists():
        pytest.skip(f"the definition of {kind} is not here; ./run chart-tools gets it, which needs Go")
    spec = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)["spec"]
    (schema,) = [each["schema"]["openAPIV3Schema"] for each in spec["versions"] if each["name"] == version]
    return _closed(schema)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    if "pattern" in schema:  # of Go, where a flag may stand anywhere
        schema["pattern"] = re.sub(r"^\^\(\?i\)(.*)\$$", r"^(?i:\1)$", schema["pattern"])
    if "properties" in schema:
        schema["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
    for keyword in {"items", "additionalProperties"} & schema.keys():
        if isinstance(schema[keyword], dict):
            schema[keyword] = _closed(schema[keyword])
    return schema


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *arguments], capture_output=True, text=True, check=False)


def render(*arguments: str, release: str = "bot", kubernetes: str = NEWEST_KUBERNETES, chart: Path = CHART) -> Objects:
    """Return the objects of a release.

    Args:
        arguments: Of ``helm template``, such as ``--values=FILE`` and ``--set=NAME=VALUE``.
        release: Its name.
        kubernetes: The version of the cluster.
        chart: Another chart than ours.

    Raises:
        RenderFailed: With what Helm says.
    """
    done = helm("template", release, str(chart), f"--kube-version={kubernetes}", *arguments)
    if done.returncode != 0:
        raise RenderFailed(done.stderr)
    return [found for found in yaml.load_all(done.stdout, yaml.CSafeLoader) if found]


def only(objects: Objects, kind: str, name: str = "") -> dict[str, Any]:
    """Return the one object of a kind whose name ends so."""
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(name)]
    return found


def pods_of(objects: Objects) -> Objects:
    """Return the specification of every pod."""
    return [each["spec"]["template"]["spec"] for each in objects if each["kind"] in {"StatefulSet", "Deployment"}]


def environment_of(pod: dict[str, Any], **known: str) -> dict[str, str]:
    """Return what the container sees; ``known`` has the values of secrets and fields by variable."""
    (container,) = pod["containers"]
    return {each["name"]: each.get("value", known.get(each["name"], "")) for each in container["env"]}
