"""Interactions: answers application commands, deferred, so that the work behind may take its time."""

from collections.abc import Mapping
from typing import Any, Final

from gateway_service import Dispatch, on
from tasks.rest import discord, retried

APPLICATION_COMMAND: Final = 2  # interaction type


def answer_to(interaction: Mapping[str, Any]) -> str | None:
    """Decide the answer to one INTERACTION_CREATE."""
    if interaction.get("type") != APPLICATION_COMMAND:
        return None
    name = interaction.get("data", {}).get("name")
    return "pong" if name == "ping" else f"I do not know the command {name!r}."


# Discord hears that an answer follows before this runs, so the work behind may take up to 15 minutes.
@on("INTERACTION_CREATE", bind=True, defer=True, max_retries=3)
def answer_command(self: Any, interaction: dict[str, Any], _dispatch: Dispatch) -> None:
    if answer := answer_to(interaction):
        with retried(self):
            discord().answer(interaction["application_id"], interaction["token"], answer)
