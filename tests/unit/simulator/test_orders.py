import pytest

from gateway_service.simulator.faults import (
    Abort,
    CloseWith,
    Garble,
    InvalidateSession,
    Moment,
    RefuseUpgrade,
    ResetToken,
)
from gateway_service.simulator.orders import Order
from gateway_service.simulator.verbs import VERBS


class Recorder:
    """What an order tells a simulator to do."""

    def __init__(self):
        self.told = []

    def inject(self, fault, shard_id=None):
        self.told.append((fault, shard_id))
        return 1

    def thaw(self, shard_id=None):
        self.told.append(("thaw", shard_id))

    def arm(self, fault, moment, **facts):
        self.told.append((fault, moment, facts))


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ({"do": "close", "code": 4009}, CloseWith(4009)),
        ({"do": "close", "code": "4009"}, CloseWith(4009)),
        ({"do": "op9", "resumable": "true"}, InvalidateSession(resumable=True)),
        ({"do": "garble", "how": "plain"}, Garble("plain")),
        ({"do": "reset-token"}, ResetToken()),
        ({"do": "thaw"}, None),
    ],
)
def test_an_order_names_a_fault(order, fault):
    assert Order.parse(order) == Order(fault=fault)


@pytest.mark.parametrize("shards", [{"shard": 2}, {"shards": [2]}, {"shards": 2}])
async def test_an_order_strikes_the_shards_it_names(shards):
    discord = Recorder()
    assert await Order.parse({"do": "abort", **shards}).perform(discord) == 1
    assert discord.told == [(Abort(), 2)]


@pytest.mark.parametrize("shards", [{}, {"shards": "all"}])
async def test_an_order_without_shards_strikes_all(shards):
    discord = Recorder()
    await Order.parse({"do": "thaw", **shards}).perform(discord)
    assert discord.told == [("thaw", None)]


async def test_an_order_for_a_moment_is_armed_for_each_shard():
    discord = Recorder()
    order = {"do": "abort", "shards": [0, 1], "when": "replay", "after": 3, "times": 2, "host": "localhost"}

    assert await Order.parse(order).perform(discord) == 0

    facts = {"host": "localhost", "times": 2, "after": 3}
    assert discord.told == [
        (Abort(), Moment.REPLAY, facts | {"shard_id": 0}),
        (Abort(), Moment.REPLAY, facts | {"shard_id": 1}),
    ]


def test_a_fault_with_a_moment_of_its_own_need_not_name_it():
    assert Order.parse({"do": "refuse-upgrade"}) == Order(fault=RefuseUpgrade(), when=Moment.UPGRADE)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({}, "'do' must name a fault: op7, op9, close"),
        ({"do": "clsoe"}, "unknown fault 'clsoe'; did you mean 'close'?"),
        ({"do": "close", "cod": 1}, "close has no 'cod'; did you mean 'code'?; it takes code, reason"),
        ({"do": "close", "code": "x"}, "close: code: input should be a valid integer"),
        ({"do": "garble", "how": "x"}, "garble: how: input should be 'truncated'"),
        ({"do": "op7", "code": 1}, "op7 has no 'code'; it takes nothing"),
        ({"do": "thaw", "code": 1}, "unknown fault 'thaw'"),
        ({"do": "op7", "shard": 1, "shards": [1]}, "give 'shard' or 'shards', not both"),
        ({"do": "op7", "shards": []}, r"'shards' must be 'all', a shard id or a list of them, not \[\]"),
        ({"do": "op7", "shard": -1}, "'shards' must be"),
        ({"do": "op7", "when": "replya"}, "unknown moment 'replya'; did you mean 'replay'?; known are upgrade, hello"),
        ({"do": "op7", "when": "request"}, "op7 cannot wait for 'request'; it waits for guild_stream, hello"),
        ({"do": "repeat", "when": "hello"}, "repeat cannot wait for 'hello'; it strikes at once"),
        ({"do": "op7", "times": "often"}, "'times' must be a number of at least 0, not 'often'"),
        ({"do": "op7", "host": 7}, "'host' must be a text, not 7"),
    ],
)
def test_a_wrong_order_is_one_sentence(order, sentence):
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        Order.parse(order)


@pytest.mark.parametrize("verb", VERBS)
def test_every_fault_has_a_verb_and_defaults_or_says_what_it_needs(verb):
    needed = {"dispatch": {"event": "ODD"}, "move-resume-url": {"url": "ws://localhost:9"}}
    assert type(Order.parse({"do": verb, **needed.get(verb, {})}).fault) is VERBS[verb]
