"""Values that are wrong are refused, all of them together, each in a sentence."""

from itertools import chain
from pathlib import Path

import pytest
import yaml

from gateway_service.cli.worker import _OURS
from tests.support.chart import RenderFailed, render

WRONG = yaml.safe_load((Path(__file__).parent / "wrong.yaml").read_text("utf-8"))


@pytest.mark.parametrize("part", WRONG)
def test_each_wrong_value_is_told_in_a_sentence_and_nothing_else(part):
    with pytest.raises(RenderFailed) as refused:
        render("--set=existingSecret=my-bot", *(f"--set={given}" for given in WRONG[part]))

    told = str(refused.value).partition("\n")[2].partition("\n\n")[0].splitlines()
    assert sorted(told) == sorted(chain.from_iterable(WRONG[part].values()))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("shards.total=0", "'/shards/total': minimum: got 0, want 1"),
        ("shards.total=null", "'/shards': missing property 'total'"),
        ("shards.total=many", "'/shards/total': got string, want integer"),
        ("shard.total=3", "additional properties 'shard' not allowed"),
        ("shards.terminationGracePeriodSeconds=5", "minimum: got 5, want 15"),
        ("shards.resources.limit.memory=1Gi", "'/shards/resources': additional properties 'limit' not allowed"),
        ("shards.resources.requests=1Gi", "'/shards/resources/requests': got string, want object"),
        ("shards.podAnnotations.x=1", "'/shards/podAnnotations/x': got number, want string"),
        ("shards.tolerations[0].kye=x", "'/shards/tolerations/0': additional properties 'kye' not allowed"),
        ("workers.default.replica=3", "'/workers/default': additional properties 'replica' not allowed"),
        ("workers.default.replicas=-1", "'/workers/default/replicas': minimum: got -1, want 0"),
        ("workerDefaults.autoscaling=null", "'/workerDefaults': missing property 'autoscaling'"),
        (
            "networkPolicy.from[0].namespace.a=b",
            "'/networkPolicy/from/0': additional properties 'namespace' not allowed",
        ),
        (
            "networkPolicy.from[0].podSelector.matchlabels.a=b",
            "'/networkPolicy/from/0/podSelector': additional properties 'matchlabels' not allowed",
        ),
        (
            "networkPolicy.state.to[0].namespaceSelector.matchLabels.a=1",
            "'/networkPolicy/state/to/0/namespaceSelector/matchLabels/a': got number, want string",
        ),
        (
            "networkPolicy.extraEgress[0].ports[0].endPort=9",
            "'/networkPolicy/extraEgress/0/ports/0': properties 'port' required, if 'endPort' exists",
        ),
        ("networkPolicy.extraEgress[0].port=1", "'/networkPolicy/extraEgress/0': additional properties 'port' not"),
        ("networkPolicy.broker.ports={amqp}", "'/networkPolicy/broker/ports/0': got string, want integer"),
        (f"fullnameOverride={'a' * 37}", "has 37 characters, and 36 are possible: choose a shorter release name"),
        ("fullnameOverride=My_Bot", "the name My_Bot is not one of a Service (small letters, digits and '-', a letter"),
    ],
)
def test_a_wrong_shape_is_told_with_its_place(given, sentence):
    with pytest.raises(RenderFailed) as refused:
        render("--set=existingSecret=my-bot", "--set", given)

    assert sentence in str(refused.value)


def test_nobody_is_not_everybody():
    with pytest.raises(
        RenderFailed, match=r"networkPolicy\.from: must name somebody, because Kubernetes takes an empty"
    ):
        render("--set=existingSecret=my-bot", "--set-json=networkPolicy.from=[]")


def test_groups_with_the_same_tasks_may_share_a_queue():
    assert render("--set=existingSecret=my-bot", "--set=workers.spot.queues={default.READY},workers.spot.replicas=9")


def test_what_the_worker_refuses_the_chart_does_too():
    given = ",".join(sorted(_OURS))

    with pytest.raises(RenderFailed) as refused:
        render("--set=existingSecret=my-bot", f"--set=workers.default.options={{{given}}}")

    assert all(f"workers.default.options: {option} is decided by" in str(refused.value) for option in _OURS)
