import pytest

from gateway_service.errors import ConfigurationError
from gateway_service.settings.routes import parse_routes
from gateway_service.worker.lanes import LanePlan
from gateway_service.worker.subscription import Subscription
from gateway_service.worker.topology_plan import Binding, QueueState, Seen, candidates, compare, needed_by

EMPTY, FULL = QueueState(messages=0, consumers=0), QueueState(messages=3, consumers=0)


def subscription(*tokens, ordered=(), routes=None):
    return Subscription(
        group="g", tokens=frozenset((*tokens, *ordered)), ordered=frozenset(ordered), routes=parse_routes(routes or {})
    )


def test_each_event_has_a_queue_of_its_own():
    assert subscription("B", "A").queues() == {"g.A": ("A",), "g.B": ("B",)}


def test_events_of_one_route_share_a_queue():
    assert subscription("MESSAGE_CREATE", "MESSAGE_UPDATE", "READY", routes={"MESSAGE_*": "messages"}).queues() == {
        "g.messages": ("MESSAGE_CREATE", "MESSAGE_UPDATE"),
        "g.READY": ("READY",),
    }


def test_ordered_events_are_in_lanes_and_nowhere_else():
    ours = subscription("A", ordered=["B"])

    assert ours.queues() == {"g.A": ("A",)}
    assert ours.lane_plan() == LanePlan(group="g", tokens=("B",), lanes=8)


def test_a_route_tells_the_number_of_lanes():
    assert subscription(ordered=["B"], routes={"*": {"lanes": 2}}).lane_plan().names() == {
        "g.lane-0-of-2": 0,
        "g.lane-1-of-2": 1,
    }


def test_two_numbers_of_lanes_are_refused():
    with pytest.raises(ConfigurationError, match="have different lanes"):
        subscription(ordered=["A", "B"], routes={"A": {"lanes": 2}, "B": {"lanes": 4}}).lane_plan()


@pytest.mark.parametrize(
    ("wanted", "excluded", "chosen"),
    [
        (["g.lane-1-of-8"], [], {"g.lane-1-of-8"}),
        (None, [f"g.lane-{lane}-of-8" for lane in range(1, 8)], {"g.lane-0-of-8"}),
    ],
)
def test_lanes_can_be_chosen_as_any_queue(wanted, excluded, chosen):
    assert subscription(ordered=["A"]).lane_plan(wanted, excluded).chosen == chosen


def test_a_worker_of_other_queues_has_no_lanes():
    assert subscription("A", ordered=["B"]).lane_plan(["g.A"]) is None


def test_lanes_of_every_other_number_are_looked_for():
    older = LanePlan(group="g", tokens=("A",), lanes=2).older()

    assert len(older) == 1 + 4 + 8 + 16 + 32 + 64
    assert older["g.lane-3-of-4"] == (3, 4)


def test_all_64_lanes_of_the_contract_are_bound_once():
    bindings = [each for each in needed_by(subscription(ordered=["A"])).bindings if each.source == "g.lanes-of-8"]

    assert sorted(each.key for each in bindings) == [f"*.{lane:02d}" for lane in range(64)]
    assert Binding("g.lanes-of-8", "*.13", "g.lane-5-of-8") in bindings


def test_nothing_differs_when_everything_is_there():
    needed = needed_by(subscription("A", ordered=["B"]))
    seen = Seen(
        queues={**dict.fromkeys(needed.queues, EMPTY), "g.lanes": EMPTY, "other.A": FULL}, bindings=needed.bindings
    )

    assert not compare("g", needed, seen)


def test_what_is_missing_and_what_is_stale_is_told():
    needed = needed_by(subscription("A", routes={"A": "folded"}))
    stale = Binding("gateway.events", "B.*", "g.folded")
    seen = Seen(queues={"g.folded": EMPTY, "g.A": FULL}, bindings=frozenset({stale}))

    difference = compare("g", needed, seen)

    assert difference.stale_queues == ("g.A",)
    assert difference.stale_bindings == (stale,)
    assert difference.missing_bindings == (Binding("gateway.events", "A.*", "g.folded"),)


def test_bindings_that_the_broker_does_not_tell_are_not_missing():
    needed = needed_by(subscription("A", "B"))

    assert compare("g", needed, Seen(queues={"g.A": EMPTY}, bindings=None)).missing_bindings == ()
    assert compare("g", needed, Seen(queues={"g.A": EMPTY}, bindings=None)).missing_queues == ("g.B",)


def test_every_name_that_a_queue_may_have_had_is_a_candidate():
    assert candidates(subscription("A", routes={"X*": "folded"}), ["READY"]) == {"g.A", "g.READY", "g.folded"}
