import pytest

from gateway_service.simulator.faults import (
    Abort,
    CloseWith,
    CutChunks,
    Freeze,
    LimitRequest,
    LoseIntents,
    Moment,
    RefuseUpgrade,
)
from gateway_service.simulator.plan import FaultPlan


def test_an_armed_fault_strikes_as_often_as_asked():
    plan = FaultPlan()
    plan.arm(Abort(), Moment.HELLO, times=2)
    assert [plan.take(Moment.HELLO, host="h") for _ in range(3)] == [Abort(), Abort(), None]


@pytest.mark.parametrize(
    ("moment", "host", "shard_id", "strikes"),
    [
        (Moment.RESUME, "h", 3, True),
        (Moment.IDENTIFY, "h", 3, False),
        (Moment.RESUME, "other", 3, False),
        (Moment.RESUME, "h", 4, False),
    ],
)
def test_an_armed_fault_waits_for_its_moment(moment, host, shard_id, strikes):
    plan = FaultPlan()
    plan.arm(Abort(), Moment.RESUME, host="h", shard_id=3)
    assert (plan.take(moment, host=host, shard_id=shard_id) is not None) is strikes


def test_the_oldest_strikes_first():
    plan = FaultPlan()
    plan.arm(CloseWith(4001), Moment.HELLO)
    plan.arm(CloseWith(4002), Moment.HELLO)
    assert plan.take(Moment.HELLO, host="h") == CloseWith(4001)


def test_disarmed_faults_do_not_strike():
    plan = FaultPlan()
    plan.arm(Abort(), Moment.HELLO)
    plan.disarm()
    assert plan.take(Moment.HELLO, host="h") is None


@pytest.mark.parametrize(
    ("fault", "moment", "why"),
    [
        (Freeze(), Moment.UPGRADE, "Freeze strikes only at guild_stream, hello, .*; not at upgrade"),
        (RefuseUpgrade(), Moment.HELLO, "RefuseUpgrade strikes only at upgrade; not at hello"),
        (LimitRequest(), Moment.RESUME, "LimitRequest strikes only at request; not at resume"),
        (CutChunks(), Moment.HELLO, "CutChunks strikes only at request; not at hello"),
        (LoseIntents(), Moment.HELLO, "LoseIntents strikes at once, and cannot be armed; not at hello"),
    ],
)
def test_a_fault_has_its_moments(fault, moment, why):
    with pytest.raises(ValueError, match=why):
        FaultPlan().arm(fault, moment)
