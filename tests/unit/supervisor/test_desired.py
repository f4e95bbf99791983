"""What operators want: which part of it a service answers for."""

import json

from gateway_service.supervisor.desired import Desired

DND, VOICE = {"status": "dnd"}, {"guild_id": "4194304", "channel_id": "7"}
GUILD_OF_SHARD_1 = 1 << 22
GUILD_OF_SHARD_2 = 2 << 22


class Store:
    """Keeps nothing; who asks has it in memory."""

    def desire(self, _texts):
        pass


async def configured(_shard_id):
    return None


async def test_what_is_kept_for_a_shard_is_what_the_store_had_and_what_came_since():
    kept = {"presence:1": json.dumps(DND), "presence:2": json.dumps(DND), f"voice:{GUILD_OF_SHARD_2}": "{}"}
    desired = Desired(Store(), kept, configured)
    await desired.set_presence(DND, [3])
    await desired.set_presence(None, [1])
    await desired.set_voice_state(GUILD_OF_SHARD_1, VOICE)

    stored = desired.kept_for([1, 3], num_shards=4)

    assert {name: json.loads(text) for name, text in stored.items()} == {
        "presence:3": DND,
        f"voice:{GUILD_OF_SHARD_1}": VOICE,
    }
