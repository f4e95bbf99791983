"""What shards ask of the supervisor, handed on to whom it concerns."""

from collections.abc import Sequence
from typing import assert_never

from gateway_service.ipc.messages import (
    CommandDone,
    GatewayUrlRequest,
    IdentifyAnswered,
    IdentifySent,
    PermitCancel,
    PermitRequest,
)
from gateway_service.ipc.statuses import ShardStatus
from gateway_service.supervisor.commands import Commands
from gateway_service.supervisor.gateway_watch import GatewayWatch
from gateway_service.supervisor.identify import PermitOwner

Request = PermitRequest | PermitCancel | IdentifySent | IdentifyAnswered | CommandDone | GatewayUrlRequest


class Switchboard:
    """Stands between the processes and what is one for all of them."""

    def __init__(self, permits: PermitOwner, commands: Commands, gateway: GatewayWatch) -> None:
        self._permits = permits
        self._commands = commands
        self._gateway = gateway

    def receive(self, request: Request) -> None:
        """Take what a shard asks for or reports."""
        match request:
            case PermitRequest(shard_id=shard_id):
                self._permits.request(shard_id)
            case PermitCancel(shard_id=shard_id):
                self._permits.cancel(shard_id)
            case IdentifySent(shard_id=shard_id):
                self._permits.sent(shard_id)
                self._commands.identified(shard_id)
            case IdentifyAnswered(shard_id=shard_id):
                self._permits.answered(shard_id)
            case CommandDone():
                self._commands.done(request)
            case GatewayUrlRequest():
                self._gateway.url_failed()
            case _:
                assert_never(request)

    def reported(self, shards: Sequence[ShardStatus]) -> None:
        """Shards said how they are."""
        self._commands.reported(shards)

    def gone(self, shard_ids: Sequence[int]) -> None:
        """The process of these shards ended, and with it all that they asked for."""
        self._permits.gone(shard_ids)
        self._commands.gone(shard_ids)

    def refused(self, shard_id: int) -> None:
        """Discord refused a shard for good; it needs no permit."""
        self._permits.cancel(shard_id)
