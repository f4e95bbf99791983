"""Stand-ins for shard processes, and what a test wants to know of them."""

import json
from pathlib import Path

STAND_IN = Path(__file__).with_name("stand_in_child.py")


class Journal:
    """What the stand-ins did, in order."""

    def __init__(self, path):
        self.path = path

    def __call__(self, happening):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["happening"] == happening]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it may also end while it is read
        return False


def visible_to_others(pid):
    """Return what other processes of the user can read of a process: its arguments and its environment."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def accept(_broker_url):
    """Stand in for a broker that is there."""
