"""A simulated Discord without sockets; its clock is a number."""

import json
from dataclasses import dataclass, field

import pytest

from gateway_service.protocol.constants import ALL_INTENTS
from gateway_service.simulator.config import SimulatorConfig
from gateway_service.simulator.conversation import Conversation, Say
from gateway_service.simulator.hub import Hub


@dataclass
class Discord:
    """A hub and conversations with it, at a time that tests set."""

    hub: Hub
    now: float = 1000.0
    opened: list[Conversation] = field(default_factory=list)

    def dial(self, host: str = "127.0.0.1") -> Conversation:
        conversation = Conversation(self.hub, connection=len(self.opened) + 1, host=host)
        self.opened.append(conversation)
        conversation.open(self.now)
        return conversation

    def say(self, conversation: Conversation, op: int, data: object = None) -> list[object]:
        """Return the answers: payloads decoded, anything else as it is."""
        actions = conversation.receive(json.dumps({"op": op, "d": data}).encode(), self.now)
        return [json.loads(action.text) if isinstance(action, Say) else action for action in actions]

    def identify(self, conversation: Conversation, shard: object = (0, 1), **fields: object) -> list[object]:
        data = {"token": self.hub.config.token, "properties": {}, "intents": int(ALL_INTENTS), "shard": shard}
        return self.say(conversation, 2, {key: value for key, value in (data | fields).items() if value is not ...})

    def resume(self, conversation: Conversation, session_id: str, seq: object, **fields: object) -> list[object]:
        return self.say(
            conversation, 6, {"token": self.hub.config.token, "session_id": session_id, "seq": seq} | fields
        )

    def dispatches(self, conversation: Conversation) -> list[dict]:
        """Return what the session's log holds after its cursor."""
        session = conversation.session
        return [json.loads(session.text(seq)) for seq in range(session.cursor + 1, session.last_seq + 1)]


@pytest.fixture
def make_discord():
    def make(**settings: object) -> Discord:
        settings = {"guilds": 4} | settings
        discord = Discord(Hub(SimulatorConfig(**settings), lambda: discord.now))
        discord.hub.resume_url = "ws://localhost:1"
        return discord

    return make


@pytest.fixture
def discord(make_discord):
    return make_discord()
