"""Publishing: from the outbox of a shard process to the broker, confirmed, in order, never lost."""

from gateway_service.publisher.envelope import Envelope
from gateway_service.publisher.links import make_link
from gateway_service.publisher.outbox import Counts, Outbox
from gateway_service.publisher.ports import Link, Receipts
from gateway_service.publisher.thread import PublisherState, PublisherThread

__all__ = ["Counts", "Envelope", "Link", "Outbox", "PublisherState", "PublisherThread", "Receipts", "make_link"]
