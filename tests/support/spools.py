"""A spool in memory, for tests that write to it thousands of times; the contract suite holds it to the real one."""

import dataclasses

from gateway_service.errors import SpoolUnavailable


class MemorySpool:
    """Rows as a mapping; it fails as it is told."""

    def __init__(self, max_bytes=10**9, file_name="memory.db"):
        self.max_bytes = max_bytes
        self.is_broken = False
        self._rows = {}
        self.last_row = 0
        self.file_name = file_name

    @property
    def rows(self):
        return len(self._rows)

    @property
    def size_bytes(self):
        return sum(each.size_bytes for each in self._rows.values())

    def why_full(self):
        return "it is full" if self.size_bytes >= self.max_bytes else None

    @property
    def has_settled(self):
        return self.size_bytes * 4 <= self.max_bytes * 3

    def append(self, envelopes):
        self._check()
        rows = range(self.last_row + 1, self.last_row + 1 + len(envelopes))
        for row, envelope in zip(rows, envelopes, strict=True):
            self._rows[row] = dataclasses.replace(envelope, row=row, is_confirmed=False)
        self.last_row = rows[-1]
        return rows

    def read(self, after, limit, limit_bytes):
        self._check()
        found, size = [], 0
        for row in sorted(row for row in self._rows if row > after)[:limit]:
            found.append(dataclasses.replace(self._rows[row]))
            size += len(found[-1].raw)
            if size >= limit_bytes:
                break
        return found

    def delete(self, sizes):
        self._check()
        for row in sizes:
            del self._rows[row]

    def set_aside(self):
        """Lose everything, as a damaged file does."""
        self._rows.clear()

    def _check(self):
        if self.is_broken:
            raise SpoolUnavailable("memory", "it is broken")
