"""The identify budget over arbitrary hours."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_service.protocol.budget import StartLimit, Wait, reserve_of
from tests.unit.protocol.test_budget import HOUR_S, NOW, budget


@settings(max_examples=30)
@given(
    remaining=st.integers(0, 60),
    reserve_percent=st.integers(0, 90),
    is_forced=st.booleans(),
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.floats(0.0, 30_000.0), st.sampled_from([None, 0, 3, 20, 60])), max_size=60
    ),
)
def test_the_reserve_and_the_last_identify_are_safe_whatever_happens(remaining, reserve_percent, is_forced, steps):
    total, discord = 60, remaining
    subject = budget(remaining, total=total, reserve_percent=reserve_percent, is_forced=is_forced, reset_after_s=HOUR_S)
    now = NOW
    for shard_id, wait_s, answer in steps:
        now += wait_s
        if answer is not None:  # a reset, or somebody else spent some
            discord = answer
            subject.asked(now)
            subject.learn(StartLimit(total=total, remaining=answer, reset_after_s=HOUR_S, asked_at=now))
        decision = subject.decide(shard_id, now)
        if isinstance(decision, Wait):
            assert decision.until > now
            continue
        assert discord > 0
        assert is_forced or discord > reserve_of(total, reserve_percent)
        assert is_forced or not decision.forced
        discord -= 1
        subject.sent(shard_id, 4, now)
