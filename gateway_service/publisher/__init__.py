"""Publishing: from the outbox of a shard process to the broker, confirmed, in order, never lost."""

from gateway_service.publisher.account import Counts
from gateway_service.publisher.envelope import Envelope, Origin
from gateway_service.publisher.links import make_link
from gateway_service.publisher.loss import Loss
from gateway_service.publisher.outbox import Outbox
from gateway_service.publisher.ports import Link, Receipts
from gateway_service.publisher.rungs import Rung, rung_of
from gateway_service.publisher.spool import Adoption, Owner, Spool
from gateway_service.publisher.spool_folder import Room, SpoolFolder
from gateway_service.publisher.spooler import Spooler
from gateway_service.publisher.thread import PublisherState, PublisherThread

__all__ = [
    "Adoption",
    "Counts",
    "Envelope",
    "Link",
    "Loss",
    "Origin",
    "Outbox",
    "Owner",
    "PublisherState",
    "PublisherThread",
    "Receipts",
    "Room",
    "Rung",
    "Spool",
    "SpoolFolder",
    "Spooler",
    "make_link",
    "rung_of",
]
