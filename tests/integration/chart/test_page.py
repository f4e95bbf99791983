"""What docs/deploying.md tells to type for Kubernetes: it makes the Secret that the pods of the release read."""

import re
import shutil
import subprocess

import pytest
import yaml

from gateway_service.control.tokens import read_tokens, strongest_token
from gateway_service.settings import load_options
from tests.support.chart import ROOT, environment_of, only, pods_of, tool

PAGE = ROOT / "docs/deploying.md"
# They do with their arguments what can be done without a cluster.
PROGRAMS = {
    "kubectl": """printf '%s\\0' "$@" > secret""",
    "helm": """shift; {helm} template --kube-version=1.31 "$@" > objects.yaml""",
}


@pytest.fixture
def typed(tmp_path):
    """Type it; return the keys of the Secret, and the objects of the release."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    for name, line in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line.format(helm=tool('helm'))}\n")
        program.chmod(0o755)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "token.txt").write_text("abc.def.ghi\n")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (block,) = [each for each in blocks if "kubectl create secret" in each]
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"

    subprocess.run(["sh", "-euc", block], cwd=tmp_path, env={"PATH": path, "HOME": str(tmp_path)}, check=True)

    given = [each.partition("=")[2] for each in (tmp_path / "secret").read_text().split("\0") if "--from-" in each]
    keys = {key: value for key, _, value in (each.partition("=") for each in given)}
    keys["discord-token"] = (tmp_path / keys["discord-token"]).read_text()
    return keys, list(yaml.safe_load_all((tmp_path / "objects.yaml").read_text()))


def test_the_gateway_starts_with_what_the_page_tells_to_type(typed, tmp_path):
    keys, objects = typed
    for name in ("discord-token", "control-tokens"):
        (tmp_path / name).write_text(keys[name])
    shards = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    urls = {"GATEWAY_BROKER_URL": keys["broker-url"], "GATEWAY_STATE_URL": keys["state-url"], "GATEWAY_ORDINAL": "1"}
    environment = environment_of(shards, **urls)
    options = load_options(
        {}, {name: value.replace("/run/secrets/gateway", str(tmp_path)) for name, value in environment.items()}
    )

    assert options.token.get_secret_value() == "abc.def.ghi"
    assert options.shards == tuple(range(16, 32))
    tokens = read_tokens(options.control_tokens_file)
    assert tokens.authorize(f"Bearer {keys['metrics-token']}", "read") == "prometheus"
    assert tokens.authorize(f"Bearer {strongest_token(options.control_tokens_file)}", "control") == "operator"


def test_the_secret_has_every_key_that_a_pod_reads(typed):
    keys, objects = typed
    text = yaml.safe_dump(pods_of(objects))

    assert set(re.findall(r"key: (\S+)", text)) < keys.keys()
    assert set(re.findall(r"name: (my-bot)$", text, re.MULTILINE)) == {"my-bot"}
