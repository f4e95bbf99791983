"""Calls to the gateway from tasks, or any program with the broker: answered by the supervisor that runs the shard.

::

    from gateway_service import gateway

    members = gateway.request_guild_members(guild_id, query="ann", limit=10).members
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from celery import Celery, current_task
from kombu.exceptions import KombuError

from gateway_service.contract import ASKED_BY, GATEWAY_NODES
from gateway_service.refusals import ControlError, OperationTimedOut, OtherHost
from gateway_service.worker.app import app as default_app

DEFAULT_TIMEOUT_S: Final = 10.0
# What the broker and the supervisor add to the time that Discord takes.
_ROAD_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The answer to :meth:`GatewayCalls.request_guild_members`, all chunks joined."""

    members: list[dict[str, Any]]
    """Discord's guild member objects."""
    presences: list[dict[str, Any]]
    not_found: list[Any]
    """Of ``user_ids``, those that are no members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a guild is."""

    shard_id: int
    num_shards: int
    host: str
    """Node name of the supervisor that runs the shard."""
    state: str
    """Of the shard; ``live`` when it receives."""


class GatewayCalls:
    """Operations of the control plane for tasks.

    Each call waits for its answer. Every one of them raises a :class:`~gateway_service.refusals.ControlError`:
    NotReady, RateLimited, TooLarge, InvalidArgument, OperationTimedOut or OtherHost.
    """

    def __init__(self, app_of: Callable[[], Celery]) -> None:
        """Make it.

        Args:
            app_of: Returns the application whose broker leads to the gateway.
        """
        self._app_of = app_of

    def request_guild_members(
        self,
        guild_id: int | str,
        *,
        query: str | None = None,
        limit: int = 0,
        user_ids: Iterable[int | str] | None = None,
        presences: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Members:
        """Ask Discord for members of a guild (op 8) and gather every chunk; equal requests at one time are one.

        Args:
            guild_id: The guild.
            query: What user names begin with; with ``limit``.
            limit: 1 to 100 for a query.
            user_ids: At most 100, instead of a query. With neither, every member (needs GUILD_MEMBERS).
            presences: Also their presences (needs GUILD_PRESENCES).
            timeout_s: How long to wait; RATE_LIMITED is waited out within it.
        """
        asked: dict[str, Any] = {"guild_id": str(guild_id), "presences": presences, "timeout_s": timeout_s}
        if user_ids is not None:
            asked["user_ids"] = [str(user_id) for user_id in user_ids]
        if query is not None:
            asked |= {"query": query, "limit": limit}
        result = self._call("request_guild_members", asked, timeout_s)
        return Members(members=result["members"], presences=result["presences"], not_found=result["not_found"])

    def request_soundboard_sounds(
        self, guild_id: int | str, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """Ask Discord for the soundboard sounds of a guild (op 31)."""
        asked = {"guild_id": str(guild_id), "timeout_s": timeout_s}
        data = self._call("request_soundboard_sounds", asked, timeout_s)["data"]
        sounds: list[dict[str, Any]] = data["soundboard_sounds"]
        return sounds

    def request_channel_info(
        self,
        guild_id: int | str,
        *,
        fields: Iterable[Literal["status", "voice_start_time"]] = ("status", "voice_start_time"),
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """Ask Discord for the voice status of a guild's channels (op 43)."""
        asked = {"guild_id": str(guild_id), "fields": list(fields), "timeout_s": timeout_s}
        channels: list[dict[str, Any]] = self._call("request_channel_info", asked, timeout_s)["data"]["channels"]
        return channels

    def update_voice_state(
        self,
        guild_id: int | str,
        channel_id: int | str | None,
        *,
        self_mute: bool = False,
        self_deaf: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Enter, change or leave (None) the voice channel of a guild (op 4); kept until it is left.

        Returns when the shard has queued it; Discord answers with VOICE_STATE_UPDATE and VOICE_SERVER_UPDATE.
        """
        asked = {
            "guild_id": str(guild_id),
            "channel_id": None if channel_id is None else str(channel_id),
            "self_mute": self_mute,
            "self_deaf": self_deaf,
        }
        self._call("update_voice_state", asked, timeout_s)

    def update_presence(
        self,
        presence: Mapping[str, Any] | None,
        *,
        shard_ids: Iterable[int] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> list[int]:
        """Show a presence on all shards or some; it is kept over restarts. None goes back to the configured one.

        Returns:
            The shards that show it, of the supervisors that answered in time. One whose process does not run is not
            among them; it shows the presence once it is live.
        """
        asked: dict[str, Any] = {"presence": None if presence is None else dict(presence)}
        if shard_ids is not None:
            asked["shard_ids"] = sorted(set(shard_ids))
        wanted = asked.get("shard_ids")
        shown: list[int] = []
        refused: list[int] = []

        def is_enough(answer: Mapping[str, Any]) -> bool:
            shown.extend(answer["result"]["shard_ids"])
            refused.extend(failure["shard_id"] for failure in answer["failures"])
            return wanted is not None and set(wanted) <= {*shown, *refused}

        self._broadcast("update_presence", asked, timeout_s if wanted is not None else 1.0, is_enough)
        return sorted(shown)

    def where_is(self, guild_id: int | str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Place:
        """Return the shard and the supervisor of a guild."""
        result = self._call("where_is", {"guild_id": str(guild_id)}, timeout_s)
        return Place(**{name: result[name] for name in ("shard_id", "num_shards", "host", "state")})

    def _call(self, operation: str, arguments: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the result of the one supervisor that is concerned."""
        answer = self._broadcast(operation, arguments, timeout_s + _ROAD_S, lambda _answer: True)
        result: dict[str, Any] = answer["result"]
        return result

    def _broadcast(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        timeout_s: float,
        is_enough: Callable[[Mapping[str, Any]], bool],
    ) -> Mapping[str, Any]:
        """Ask all supervisors; return the last answer when there are enough, or nobody answers any more."""
        answers: list[Mapping[str, Any]] = []

        def collect(reply: Mapping[str, Mapping[str, Any]]) -> None:
            for answer in reply.values():
                answers.append(answer)
                if "error" in answer:
                    raise ControlError.from_json(answer["error"])
                if is_enough(answer):
                    raise _Enough

        app = self._app_of()
        try:
            with app.connection_for_write() as connection:
                app.control.broadcast(
                    operation,
                    {**arguments, ASKED_BY: "task"},
                    connection=connection,
                    reply=True,
                    timeout=timeout_s,
                    callback=collect,
                    pattern=GATEWAY_NODES,
                    matcher="glob",
                )
        except _Enough:
            pass
        except (KombuError, OSError) as exc:
            raise OperationTimedOut(f"{operation}: the broker does not answer: {type(exc).__name__}") from exc
        if not answers:
            raise OtherHost(f"{operation}: no supervisor that runs this shard answered within {timeout_s:g} s")
        return answers[-1]


class _Enough(Exception):
    """The answers that matter are here."""


def _present_app() -> Celery:
    """Return the application of the running task; outside of one that of ``celery -A gateway_service``."""
    return current_task.app if current_task else default_app


gateway: Final = GatewayCalls(_present_app)
