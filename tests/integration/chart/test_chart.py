"""The chart renders, for every example, what Kubernetes takes and what keeps a bot alive."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from jsonschema_rs import Draft7Validator

from gateway_service.cli.worker import worker
from gateway_service.settings import SETTINGS, load_options, load_worker_options
from gateway_service.settings.pods import shards_of_pod
from tests.support.chart import (
    CHART,
    CUSTOM_GROUPS,
    EXAMPLES,
    NEWEST_KUBERNETES,
    OLDEST_KUBERNETES,
    ROOT,
    definition,
    environment_of,
    helm,
    only,
    pods_of,
    render,
    tool,
)

DEFINED = ("ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PodMonitor", "PrometheusRule")
SECRET = "existingSecret=my-bot"
TWO_BOTS = [("first", "second"), ("a-bot-with-a-name-of-36-characters-1", "a-bot-with-a-name-of-36-characters-2")]
COUNTS = """
kind: Counts
metadata: { name: counts }
pods:
{{- range untilStep 1 301 1 }}
{{- $_ := set $.Values.shards "total" . }}
- {{ include "gateway.shards.pods" $ }}
{{- end }}
"""
URLS = {
    "GATEWAY_BROKER_URL": "amqp://gateway:secret@rabbitmq:5672/",
    "GATEWAY_STATE_URL": "redis://:secret@redis:6379/0",
}


@pytest.fixture(scope="module")
def rendered():
    """The objects of every example."""
    return {path.stem: render(f"--values={path}") for path in EXAMPLES}


@pytest.fixture(scope="module")
def objects(rendered):
    return [each for example in rendered.values() for each in example]


@pytest.fixture
def options_in(tmp_path):
    """Read the environment of a pod of shards as the gateway does."""
    for name in ("discord-token", "control-tokens"):
        (tmp_path / name).write_text("abc.def.ghi")

    def read(pod, ordinal=0):
        environment = environment_of(pod, GATEWAY_ORDINAL=str(ordinal), **URLS)
        files = {name: value.replace("/run/secrets/gateway", str(tmp_path)) for name, value in environment.items()}
        return load_options({}, files)

    return read


def test_helm_has_nothing_to_complain_of():
    for path in EXAMPLES:
        done = helm("lint", "--strict", f"--kube-version={OLDEST_KUBERNETES}", str(CHART), f"--values={path}")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kubernetes", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_every_object_is_one_of_kubernetes(rendered, kubernetes, tmp_path):
    for name, objects in rendered.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))

    done = subprocess.run(
        [tool("kubernetes-validate"), "--strict", "-k", kubernetes, *tmp_path.glob("*.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    unknown = [line for line in done.stdout.splitlines() if "Couldn't find schema" in line]
    assert all(any(group in line for group in CUSTOM_GROUPS) for line in unknown)


def test_the_oldest_kubernetes_gets_the_same(rendered):
    assert render(f"--values={EXAMPLES[0]}", kubernetes=OLDEST_KUBERNETES) == rendered[EXAMPLES[0].stem]


@pytest.mark.parametrize("kind", DEFINED)
def test_every_custom_object_is_what_its_definition_allows(kind, objects):
    found = [each for each in objects if each["kind"] == kind]
    validator = Draft7Validator(definition(found[0]["apiVersion"], kind))

    for each in found:
        assert [f"{fault.instance_path}: {fault.message}" for fault in validator.iter_errors(each)] == []
    assert not validator.is_valid(found[0] | {"spec": found[0]["spec"] | {"labels": {}}})
    assert not validator.is_valid(found[0] | {"spec": "none"})


def test_there_is_no_other_custom_object_than_a_rabbitmq(objects):
    assert {each["kind"] for each in objects if each["apiVersion"].startswith(CUSTOM_GROUPS)} == {
        *DEFINED,
        "RabbitmqCluster",
    }


def test_the_rabbitmq_asks_its_operator_for_nothing_else_than_this(rendered):
    # Its definition comes in no module or package that could be fetched, so the fields are those of the operator's
    # documentation, written down here.
    cluster = only(rendered["rabbitmq-operator"], "RabbitmqCluster")

    assert cluster["apiVersion"] == "rabbitmq.com/v1beta1"
    assert cluster["spec"] == {
        "replicas": 3,
        "persistence": {"storage": "10Gi"},
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "rabbitmq": {"additionalPlugins": ["rabbitmq_management", "rabbitmq_prometheus"]},
    }


@pytest.mark.parametrize("total", [1, 23, 24, 25, 48, 299, 300])
def test_the_pods_together_run_every_shard_once(total, options_in):
    shards = only(render("--set", SECRET, "--set", f"shards.total={total},shards.perPod=24"), "StatefulSet")

    run = [
        options_in(shards["spec"]["template"]["spec"], ordinal).shards for ordinal in range(shards["spec"]["replicas"])
    ]

    assert [shard_id for shard_ids in run for shard_id in shard_ids] == list(range(total))


@pytest.mark.parametrize("per_pod", [1, 7, 16, 300])
def test_there_are_as_many_pods_as_run_every_shard_once_for_every_total(per_pod, tmp_path):
    # What the StatefulSet has as its replicas, for every total in one go.
    chart = shutil.copytree(CHART, tmp_path / "chart")
    (chart / "templates/counts.yaml").write_text(COUNTS)
    counts = only(render("--set", f"{SECRET},shards.perPod={per_pod}", chart=chart), "Counts")["pods"]

    assert 'replicas: {{ include "gateway.shards.pods" . }}' in (CHART / "templates/shards.yaml").read_text()
    for total, pods in enumerate(counts, 1):
        run = [shard_id for ordinal in range(pods) for shard_id in shards_of_pod(ordinal, per_pod, total)]
        assert run == list(range(total))


def test_gateway_and_workers_understand_their_environment(objects, options_in):
    pods = [pod for pod in pods_of(objects) if pod["containers"][0]["name"] != "flower"]

    for pod in pods:
        if pod["containers"][0]["name"] == "gateway":
            options_in(pod)
        else:
            arguments = pod["containers"][0]["args"]
            worker.make_context(arguments[0], arguments[1:])
            load_worker_options(environment_of(pod, **URLS))


def test_a_number_is_written_out(options_in, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("settings: { GATEWAY_INTENTS: 53608447, GATEWAY_OUTBOX_MAX_BYTES: 134217728, RATIO: 0.25 }")
    pod = only(render("--set", SECRET, f"--values={values}"), "StatefulSet")["spec"]["template"]["spec"]

    assert (options_in(pod).intents, options_in(pod).outbox_max_bytes) == (53608447, 2**27)
    assert environment_of(pod)["RATIO"] == "0.25"


def test_a_handler_reads_a_secret_of_its_own():
    given = "settings.DATABASE_URL.secretKeyRef.name=my-bot,settings.DATABASE_URL.secretKeyRef.key=database-url"
    variable = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "my-bot", "key": "database-url"}}}

    for workload in ("StatefulSet", "Deployment"):
        pods = pods_of([only(render("--set", f"{SECRET},flower.enabled=false,{given}"), workload)])
        assert variable in pods[0]["containers"][0]["env"]


def test_no_object_has_a_secret_in_it(objects):
    secret = {setting.env for setting in SETTINGS if setting.name in {"token", "broker_url", "state_url", "once_url"}}
    given = [
        variable
        for pod in pods_of(objects)
        for variable in pod["containers"][0]["env"]
        if variable["name"] in secret | {"FLOWER_BASIC_AUTH"}
    ]

    assert given
    assert all(set(variable) == {"name", "valueFrom"} for variable in given)
    assert not [each for each in objects if each["kind"] == "Secret"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_notes_name_every_key_of_the_secret_that_is_read(example, rendered, tmp_path):
    # Helm shows its notes at an installation alone, so they are made an object.
    chart = shutil.copytree(CHART, tmp_path / "chart")
    (chart / "templates/NOTES.txt").rename(chart / "notes.txt")
    (chart / "templates/notes.yaml").write_text(
        'kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "notes.txt") . | toJson }}'
    )
    notes = only(render(f"--values={example}", chart=chart), "Notes")["text"]

    objects = yaml.safe_dump(rendered[example.stem])
    read = set(re.findall(r"key: (\S+)\n\s+name: my-bot$", objects, re.MULTILINE))
    read |= {
        item["key"]
        for pod in pods_of(rendered[example.stem])
        for volume in pod["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }

    assert re.findall(r'the Secret "my-bot" has these keys: (.*)', notes) == [", ".join(sorted(read))]


@pytest.mark.parametrize("key", ["", "our-ca.pem"], ids=["none", "one"])
def test_an_authority_of_ones_own_is_a_file_in_every_pod(key):
    for pod in pods_of(render("--set", f"{SECRET},secretKeys.caBundle={key}")):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        items = volumes["secrets"]["secret"]["items"] if "secrets" in volumes else []
        mounted = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}

        assert [item["key"] for item in items if item["path"] == "ca.pem"] == ([key] if key else [])
        assert mounted.keys() == volumes.keys()
        assert not items or mounted["secrets"]["mountPath"] == "/run/secrets/gateway"


def test_every_pod_meets_the_restricted_profile(objects):
    for pod in pods_of(objects):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {"secret", "emptyDir"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            assert "cpu" not in container["resources"]["limits"]


def test_liveness_has_nothing_to_do_with_broker_state_store_and_discord(objects):
    paths = {
        (pod["containers"][0]["name"], pod["containers"][0]["livenessProbe"]["httpGet"]["path"].rpartition("/")[2])
        for pod in pods_of(objects)
    }

    assert paths == {("gateway", "livez"), ("worker", "metrics"), ("flower", "healthcheck")}


def test_containers_are_asked_for_their_health_where_compose_asks(rendered):
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for pod in pods_of(rendered["smallest"]):
        (container,) = pod["containers"]
        asked = re.search(r"127\.0\.0\.1:(\d+)(/\w+)", compose[container["name"]]["healthcheck"]["test"][-1])
        ports = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
        probes = [container[probe]["httpGet"] for probe in container if probe.endswith("Probe")]

        assert asked.groups() in {(ports[probe["port"]], probe["path"]) for probe in probes}


def test_a_pod_has_longer_to_end_than_it_needs(objects):
    for pod in pods_of(objects):
        (container,) = pod["containers"]
        grace = [each.partition("=")[2] for each in container["args"] if each.startswith("--grace")]
        needed_s = {"gateway": 10, "flower": 0, "worker": int(grace[0]) if grace else 0}[container["name"]]
        assert pod["terminationGracePeriodSeconds"] >= needed_s + 10


def test_shards_start_together_and_are_replaced_one_by_one(rendered):
    shards = only(rendered["smallest"], "StatefulSet")["spec"]

    assert shards["podManagementPolicy"] == "Parallel"
    assert shards["updateStrategy"] == {"type": "RollingUpdate"}
    assert only(rendered["smallest"], "PodDisruptionBudget", "-shards")["spec"]["maxUnavailable"] == 1


def test_another_division_of_shards_is_another_statefulset():
    names = {
        only(render("--set", SECRET, "--set", division), "StatefulSet")["metadata"]["name"]
        for division in ("shards.total=32", "shards.total=64", "shards.total=32,shards.perPod=8")
    }

    assert len(names) == 3


def test_keda_scales_by_every_queue_and_owns_the_replicas(rendered):
    group = only(rendered["large"], "Deployment", "-worker-messages")
    scaled = only(rendered["large"], "ScaledObject", "-worker-messages")["spec"]
    authentication = only(rendered["large"], "TriggerAuthentication")

    assert "replicas" not in group["spec"]
    assert scaled["scaleTargetRef"]["name"] == group["metadata"]["name"]
    assert [each["metadata"] for each in scaled["triggers"]] == [
        {"protocol": "http", "queueName": queue, "mode": "QueueLength", "value": "200"}
        for queue in ("default.MESSAGE_CREATE", "default.MESSAGE_UPDATE")
    ]
    assert {each["authenticationRef"]["name"] for each in scaled["triggers"]} == {authentication["metadata"]["name"]}
    assert scaled["fallback"] == {"failureThreshold": 3, "replicas": 3, "behavior": "currentReplicasIfHigher"}
    assert only(rendered["large"], "Deployment", "-worker-default")["spec"]["replicas"] == 4


def test_an_older_keda_gets_no_field_that_it_does_not_know(rendered):
    scaled = only(rendered["rabbitmq-operator"], "ScaledObject")["spec"]

    assert scaled["fallback"] == {"failureThreshold": 3, "replicas": 3}


def test_the_url_of_the_operators_rabbitmq_comes_from_its_secret(rendered):
    objects = rendered["rabbitmq-operator"]
    named = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for pod in pods_of(objects)
        for variable in pod["containers"][0]["env"]
        if variable["name"] == "GATEWAY_BROKER_URL"
    }

    assert named == {only(objects, "RabbitmqCluster")["metadata"]["name"] + "-default-user"}


def test_nothing_may_be_reached_but_names_broker_state_store_and_the_internet(rendered):
    policies = [each["spec"] for each in rendered["redis"] if each["kind"] == "NetworkPolicy"]

    assert [policy["policyTypes"] for policy in policies] == [["Ingress", "Egress"]] * 2
    for policy in policies:
        assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [
            [53, 53],
            [6379],
            [6379],
            [443],
            [5432],
        ]
        assert all("to" in rule for rule in policy["egress"][1:])


def test_every_pod_is_under_a_policy_and_every_worker_and_shard_under_a_budget(rendered):
    def covered(kind, labels):
        selectors = [each["spec"] for each in rendered["large"] if each["kind"] == kind]
        wanted = [(spec.get("podSelector") or spec.get("selector"))["matchLabels"] for spec in selectors]
        return any(selector.items() <= labels.items() for selector in wanted)

    workloads = [each for each in rendered["large"] if each["kind"] in {"StatefulSet", "Deployment"}]
    for each in workloads:
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert covered("NetworkPolicy", labels)
        assert covered("PodDisruptionBudget", labels) or each["metadata"]["name"].endswith("-flower")


@pytest.mark.parametrize("releases", TWO_BOTS, ids=["short", "long"])
def test_two_bots_in_one_namespace_do_not_touch_each_other(releases):
    values = f"--values={CHART.parent / 'examples/large.yaml'}"
    first, second = (render(values, release=name) for name in releases)

    def names(objects):
        return {(each["kind"], each["metadata"]["name"]) for each in objects}

    def selectors(objects):
        found = [each["spec"].get("selector") or each["spec"].get("podSelector") for each in objects if "spec" in each]
        return [selector.get("matchLabels", selector) for selector in found if selector]

    assert not names(first) & names(second)
    for name, objects in zip(releases, (first, second), strict=True):
        assert {each["app.kubernetes.io/instance"] for each in selectors(objects)} == {name}
        assert all(len(each["metadata"]["name"]) <= 63 for each in objects)


@pytest.mark.parametrize("releases", TWO_BOTS, ids=["short", "long"])
@pytest.mark.parametrize("namespaces", [("bots", "bots"), ("prod", "staging")], ids=["one-namespace", "two-namespaces"])
def test_two_bots_of_one_prometheus_and_grafana_do_not_touch_each_other_either(releases, namespaces):
    values = f"--values={CHART.parent / 'examples/large.yaml'}"
    names = releases if len(set(namespaces)) == 1 else releases[:1] * 2
    first, second = (
        render(values, f"--namespace={namespace}", release=name)
        for namespace, name in zip(namespaces, names, strict=True)
    )

    for objects, namespace in zip((first, second), namespaces, strict=True):
        bot = f"{namespace}/{only(objects, 'PrometheusRule')['metadata']['name']}"
        (group,) = only(objects, "PrometheusRule")["spec"]["groups"]
        assert {found for rule in group["rules"] for found in re.findall(r"\bbot=[^,}]+", rule["expr"])} == {
            f'bot="{bot}"'
        }
        assert all(
            rule["annotations"]["runbook_url"].startswith("https://git.example.org/docs/alerts.md#")
            for rule in group["rules"]
        )
        monitors = [each for each in objects if each["kind"] in {"ServiceMonitor", "PodMonitor"}]
        for monitor in monitors:
            for endpoint in monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]:
                assert endpoint["relabelings"] == [{"targetLabel": "bot", "replacement": bot}]
    boards = [board for objects in (first, second) for board in only(objects, "ConfigMap")["data"].items()]
    assert len({path for path, _ in boards}) == 6
    uids = [json.loads(board)["uid"] for _, board in boards]
    assert len(set(uids)) == 6
    assert all(len(uid) <= 40 for uid in uids)
