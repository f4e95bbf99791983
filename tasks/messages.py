"""Messages: answers ``!ping``."""

from collections.abc import Mapping
from typing import Any, Final

from gateway_service import Dispatch, on
from gateway_service.events import MessageCreate
from tasks.rest import Post, discord, retried

# Without the privileged intent MESSAGE_CONTENT, Discord leaves the content out, except in direct messages to
# the bot and where it is mentioned.
PING: Final = "!ping"


def reply_to(message: Mapping[str, Any]) -> Post | None:
    """Decide the reply to one MESSAGE_CREATE."""
    # A bot that answers bots ends up talking to itself.
    is_human = not message.get("author", {}).get("bot") and "webhook_id" not in message
    if not is_human or message.get("content") != PING:
        return None
    return Post(channel_id=message["channel_id"], content="pong", nonce=f"ping-{message['id']}", reply_to=message["id"])


@on("MESSAGE_CREATE", bind=True, max_retries=3)
def answer_ping(self: Any, message: MessageCreate, _dispatch: Dispatch) -> None:
    if reply := reply_to(message):
        with retried(self):
            discord().post(reply)
