import pytest

from gateway_service.simulator.faults import Abort, AskReconnect, CloseWith
from gateway_service.simulator.orders import Order
from gateway_service.simulator.registry import SentCount
from gateway_service.simulator.scenario import Scenario, Step


class Simulation:
    def __init__(self):
        self.sent = SentCount()
        self.struck = []

    def inject(self, fault, shard_id=None):
        self.struck.append((fault, shard_id))
        self.sent.total += 10
        return 1


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "day.yaml"
        path.write_text(text)
        return path

    return write


def test_a_scenario_is_a_list_of_steps(write):
    scenario = Scenario.load(
        write("""
        steps:
          - {at_s: 2.5, do: close, code: 4009, shard: 0}
          - do: op7
            sent: 1000
            every_s: 0.5
            shards: [0, 1, 2]
          - {do: abort, again_s: 30, repeats: 9}
        """)
    )

    assert scenario.steps == (
        Step(order=Order(fault=CloseWith(4009), shards=(0,)), at_s=2.5),
        Step(order=Order(fault=AskReconnect(), shards=(0, 1, 2), every_s=0.5), sent=1000),
        Step(order=Order(fault=Abort()), again_s=30, repeats=9),
    )


async def test_steps_wait_for_what_was_sent_and_are_repeated(write):
    simulation = Simulation()
    scenario = Scenario.load(write("steps: [{do: op7, sent: 30, shard: 1}, {do: abort, again_s: 0.001, repeats: 2}]"))

    await scenario.play(simulation)

    assert simulation.struck == [(Abort(), None)] * 3 + [(AskReconnect(), 1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "day.yaml: not YAML: while parsing"),
        ("", "day.yaml: a scenario has one key, 'steps', and a list of steps under it"),
        ("steps: 7", "a scenario has one key"),
        ("{steps: [], stpes: []}", "a scenario has one key"),
        ("steps: [op8]", "day.yaml: step 1: unknown fault 'op8'; did you mean 'op9'"),
        ("steps: [op7, {do: op7, at_s: soon}]", "step 2: 'at_s' must be a number of at least 0, not 'soon'"),
        ("steps: [{do: op7, repeats: 3}]", "step 1: 'repeats' needs 'again_s'"),
        ("steps: [{do: op7, at: 3}]", "step 1: op7 has no 'at'; it takes nothing"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_place(write, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        Scenario.load(write(text))
