"""The tables of the SQLite store, and the statements that keep its rules."""

from typing import Final

SCHEMA_VERSION: Final = 3
TABLES: Final = (
    """
    CREATE TABLE sessions (
        bot_id TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        permit INTEGER NOT NULL,
        session_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        session TEXT NOT NULL,
        PRIMARY KEY (bot_id, num_shards, shard_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE desired (
        bot_id TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (bot_id, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE identifies (
        number INTEGER PRIMARY KEY,
        bot_id TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        taken_at REAL NOT NULL,
        free_at REAL NOT NULL  -- when the next shard of the same key may have its turn
    )
    """,
    """
    CREATE TABLE ledgers (
        bot_id TEXT NOT NULL,
        session TEXT NOT NULL,
        num_shards INTEGER NOT NULL,
        shard_id INTEGER NOT NULL,
        opened_at REAL NOT NULL,
        ledger TEXT NOT NULL,
        PRIMARY KEY (bot_id, session)
    ) WITHOUT ROWID
    """,
)
SAVE_SESSION: Final = """
    INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET permit = excluded.permit, session_id = excluded.session_id, seq = excluded.seq, session = excluded.session
    WHERE excluded.permit > permit
    OR (excluded.permit = permit AND (excluded.session_id <> session_id OR excluded.seq >= seq))
"""
FORGET_SESSION: Final = "DELETE FROM sessions WHERE bot_id = ? AND num_shards = ? AND shard_id = ? AND permit <= ?"
PRUNE_LEDGERS: Final = """
    DELETE FROM ledgers WHERE bot_id = ? AND num_shards = ? AND shard_id = ? AND session NOT IN (
        SELECT session FROM ledgers WHERE bot_id = ? AND num_shards = ? AND shard_id = ?
        ORDER BY opened_at DESC LIMIT ?
    )
"""
