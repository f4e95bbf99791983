"""docker-compose.yml and the Dockerfile, read and not run: settings that exist, no secret of its own, no privileges."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway_service.cli.worker import worker
from gateway_service.settings import SETTINGS, load_options, load_worker_options
from gateway_service.simulator import SimulatorConfig
from gateway_service.simulator.command import simulate

ROOT = Path(__file__).parents[3]
OURS = ("gateway", "worker", "flower", "simulator")
SECRETS = {"DISCORD_TOKEN", "INTERNAL_PASSWORD", "FLOWER_BASIC_AUTH"}


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's own tags, which say how files are merged."""


ComposeLoader.add_multi_constructor(
    "!",
    lambda loader, _tag, node: (
        loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    ),
)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def variables_of(name: str) -> dict[str, str]:
    """Return what an env file sets."""
    return dict(re.findall(r"^(\w+)=(.*)$", read(name), re.MULTILINE))


def interpolated(text: str, variables: dict[str, str]) -> Any:
    """Return the services as Compose sees them with these variables."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found["name"], found["kind"], found["rest"]
        given = variables.get(name, "")
        assert given or kind != ":?", f"{name}: {rest}"
        return given or (rest if kind == ":-" else "")

    text = re.sub(r"(?<!\$)\$\{(?P<name>\w+)(?P<kind>:[-?])?(?P<rest>[^}]*)\}", value, text).replace("$$", "$")
    return yaml.load(text, ComposeLoader)["services"]


@pytest.fixture(scope="module")
def demo():
    return interpolated(read("docker-compose.yml"), variables_of("deploy/demo.env"))


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_start_without_a_secret_is_refused(name):
    given = dict.fromkeys(SECRETS - {name}, "given")

    with pytest.raises(AssertionError, match=rf"^{name}: copy deploy/compose\.env to \.env"):
        interpolated(read("docker-compose.yml"), given)


def test_the_template_has_every_variable_and_no_value_of_a_secret():
    named = set(re.findall(r"\$\{(\w+)", read("docker-compose.yml") + read("docker-compose.redis.yml")))
    template = dict(re.findall(r"^#?(\w+)=(.*)$", read("deploy/compose.env"), re.MULTILINE))

    assert named - {"DEMO_RATE"} == template.keys()
    assert {template[name] for name in SECRETS} == {""}


def test_a_setting_in_the_env_file_reaches_gateway_and_worker(demo):
    # One service on one machine: it runs all shards, and where state, spool and control API are is decided.
    decided = {"shards", "shards_per_pod", "ordinal", "token_file", "once_url", "spool_dir"}
    decided |= {"control_address", "control_tokens_file", "worker_metrics_address"}
    settings = {setting.env for setting in SETTINGS if setting.name not in decided}

    assert settings - demo["gateway"]["environment"].keys() == set()
    assert settings - demo["worker"]["environment"].keys() == set()


def test_the_template_shows_values_that_settings_may_have():
    shown = dict(re.findall(r"^#(GATEWAY_\w+)='?(.*?)'?$", read("deploy/compose.env"), re.MULTILINE))

    assert load_options({}, {"DISCORD_TOKEN": "abc.def.ghi"} | shown).log_format == "json"


def test_the_gateway_and_the_worker_understand_their_environment(demo):
    gateway = load_options({}, as_texts(demo["gateway"]["environment"]))
    its_worker = load_worker_options(as_texts(demo["worker"]["environment"]))

    assert gateway.token.get_secret_value() == SimulatorConfig().token
    assert its_worker.broker_url == gateway.broker_url


def test_redis_as_the_broker_is_understood_as_well():
    override = interpolated(read("docker-compose.redis.yml"), variables_of("deploy/demo.env"))

    assert override["rabbitmq"] is None
    for name in ("gateway", "worker", "flower"):
        assert load_worker_options(override[name]["environment"]).broker_url.scheme == "redis"
        assert "rabbitmq" not in override[name]["depends_on"]


def test_the_commands_are_commands(demo):
    assert demo["gateway"]["command"] == ["start"]
    simulate.make_context("simulate", demo["simulator"]["command"][1:])
    worker.make_context("worker", demo["worker"]["command"][1:])


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nothing_and_may_nothing(demo, name):
    service = demo[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]


def test_every_service_tells_its_health_and_waits_for_that_of_others(demo):
    assert all("healthcheck" in service for service in demo.values())
    for service in demo.values():
        for on in service.get("depends_on", {}).values():
            assert on["condition"] == "service_healthy"


def test_only_flower_can_be_reached_and_only_from_this_machine(demo):
    assert {name: service["ports"] for name, service in demo.items() if "ports" in service} == {
        "flower": ["127.0.0.1:5555:5555"]
    }


def test_the_simulator_is_in_the_profile_of_the_demo_alone(demo):
    assert {name for name, service in demo.items() if "profiles" in service} == {"simulator"}
    assert variables_of("deploy/demo.env")["COMPOSE_PROFILES"] == demo["simulator"]["profiles"][0]


def test_the_demo_has_volumes_of_its_own():
    # Of both names the variable's is the one that Compose takes.
    name = yaml.load(read("docker-compose.yml"), ComposeLoader)["name"]
    demo_name = variables_of("deploy/demo.env")["COMPOSE_PROJECT_NAME"]

    assert re.fullmatch("[a-z0-9][a-z0-9_-]*", demo_name)
    assert demo_name != name


def test_the_page_tells_how_to_change_the_password_of_the_user_that_rabbitmq_has(demo):
    (user,) = re.findall(r"rabbitmqctl change_password (\S+) ", read("docs/deploying.md"))

    assert user == demo["rabbitmq"]["environment"]["RABBITMQ_DEFAULT_USER"]


def test_the_image_runs_the_service_as_its_first_process_and_not_as_root():
    lines = read("Dockerfile").splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    said = dict(line.split(" ", 1) for line in last_stage if re.match(r"[A-Z]+ ", line))

    assert json.loads(said["ENTRYPOINT"]) == ["gateway-service"]
    assert json.loads(said["CMD"]) == ["start"]
    assert said["USER"] == "10001:10001"
    assert "/livez" in read("Dockerfile")


def test_what_the_image_copies_is_not_ignored():
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", read("Dockerfile"), re.MULTILINE)
    kept = {line.removeprefix("!") for line in read(".dockerignore").splitlines() if line.startswith("!")}

    assert set(" ".join(copied).split()) == kept
    assert all((ROOT / name).exists() for name in kept)


def as_texts(environment: dict[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in environment.items()}
