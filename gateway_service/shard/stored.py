"""What the store has of the shards of a process when it starts."""

from collections.abc import Collection

from gateway_service.protocol.ledger import SessionLedger
from gateway_service.protocol.session import Session
from gateway_service.state import State


def load_stored(
    store: State, num_shards: int, shard_ids: Collection[int]
) -> tuple[dict[int, Session], list[SessionLedger]]:
    """Return the sessions by shard and the ledgers beside them, as of one moment. Blocks.

    The process before may still drain and write both: what is read in two moments would never balance again.

    Raises:
        StateUnavailable: The store cannot be read.
    """
    before: dict[int, Session] | None = None
    ledgers: list[SessionLedger] = []
    while True:
        sessions = {each: session for each in shard_ids if (session := store.load(each)) is not None}
        if sessions == before:
            return sessions, ledgers
        before = sessions
        ledgers = [each for each in store.ledgers() if each.num_shards == num_shards and each.shard_id in shard_ids]
