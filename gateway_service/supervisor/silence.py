"""Which shards are deaf: they ACK heartbeats, and nothing that their intents let through arrives. Pure.

In every window each live shard has heard something or not. How likely a run of silent windows is follows from the
shard's own past: how rare silent windows are, and how long it was ever silent before. Its siblings are witnesses: a bot
whose other shards are silent too is most likely asleep, or cut off as a whole.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, log
from typing import Final

# Six hours of the policy's windows: long enough for rare events, short enough to follow a day.
HISTORY: Final = 720
# Before that nobody knows what is usual for a shard.
MIN_HISTORY: Final = 20
# A run is suspicious when chance makes one in exp(25) of them, and without a witness one in exp(100).
SURPRISE: Final = 25.0
WITHOUT_WITNESS: Final = 4.0
# And when it is this much longer than any run before: people sleep, and chance knows nothing of that.
TIMES_LONGER: Final = 3
MIN_RUN: Final = 4
# The longest run is forgotten by half in a day, so that last night is remembered tonight.
FORGETTING: Final = 0.5 ** (1 / (4 * HISTORY))
# A shard that was cured in vain is left alone for a day.
REST: Final = 4 * HISTORY


_ENDS: Final = ("given_up", "healed")


class Cure(StrEnum):
    """What to do about a deaf shard."""

    RESUME = "resume"
    IDENTIFY = "identify"


@dataclass(slots=True)
class Hearing:
    """What one shard heard, window by window."""

    heard: int | None = None
    """The counter at the last look; None when the shard was not live then."""
    past: deque[bool] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """Whether something was heard, in each window before the present run of silent ones."""
    talking: int = 0
    """How many of those are not silent."""
    longest_run: float = 0.0
    run: int = 0
    """Silent windows up to now."""
    absent: int = 0
    """Looks up to now at which the shard was not live."""

    def look(self, heard: int | None) -> None:
        """Take the counter at the end of a window; None when the shard is not live."""
        before, self.heard = self.heard, heard
        self.absent = self.absent + 1 if heard is None else 0
        if before is None or heard is None:
            return  # it was not live for the whole window
        self.longest_run *= FORGETTING
        if heard == before:
            self.run += 1
            return
        self.longest_run = max(self.longest_run, self.run)
        for _ in range(min(self.run, HISTORY)):
            self._append(talking=False)
        self._append(talking=True)
        self.run = 0

    def _append(self, *, talking: bool) -> None:
        if len(self.past) == HISTORY:
            self.talking -= self.past[0]
        self.past.append(talking)
        self.talking += talking

    @property
    def is_talkative(self) -> bool:
        """Whether its silence means something to others: most of its windows are not silent."""
        return self.heard is not None and 2 * self.talking > len(self.past)


class SilenceDetector:
    """Watches the shards of one supervisor and cures one at a time: RESUME first, a new session if that is in vain."""

    def __init__(self, *, min_history: int = MIN_HISTORY, surprise: float = SURPRISE) -> None:
        """Start with nothing known.

        Args:
            min_history: Windows that must be known of a shard before it is judged.
            surprise: How unlikely a run must be to be suspicious: minus the logarithm of its probability.
        """
        self._min_history = min_history
        self._surprise = surprise
        self._hearings: dict[int, Hearing] = {}
        self._case: tuple[int, Cure, int] | None = None
        """The shard that is being cured, how, and the length of its run when that began."""
        self._rests: dict[int, int] = {}
        self._witnesses = 0
        """Talkative shards at the last look."""
        self._talking = 0
        """Those of them that heard something in its window."""
        self.counts = Counter(dict.fromkeys((*Cure, *_ENDS), 0))
        """Cures begun, by their name, and how they ended: ``healed``, ``given_up``."""

    def look(self, heard: Mapping[int, int | None]) -> None:
        """Take the counters of all shards at the end of a window; None for one that is not live."""
        for shard_id, count in heard.items():
            self._hearings.setdefault(shard_id, Hearing()).look(count)
        witnesses = [hearing for hearing in self._hearings.values() if hearing.is_talkative]
        self._witnesses = len(witnesses)
        self._talking = sum(not witness.run for witness in witnesses)
        self._rests = {shard_id: left - 1 for shard_id, left in self._rests.items() if left > 1}
        if self._case is not None and self._hearings[self._case[0]].absent > MIN_RUN:
            self._case = None  # its connection has another trouble, which others see to

    def next_cure(self) -> tuple[int, Cure] | None:
        """Return what has to be done now, until :meth:`began` says that it is done."""
        if self._case is None:
            deaf = [each for each in self._hearings if each not in self._rests and self._is_deaf(each)]
            return (min(deaf), Cure.RESUME) if deaf else None
        shard_id, cure, _ = self._case
        return (shard_id, Cure.IDENTIFY) if cure is Cure.RESUME and self._is_in_vain() else None

    def began(self, shard_id: int, cure: Cure) -> None:
        """Note that a cure was begun."""
        self._case = shard_id, cure, self._hearings[shard_id].run
        self.counts[cure] += 1

    def ended(self) -> tuple[int, bool] | None:
        """Return the shard whose cure has ended, once, and whether it hears again."""
        if self._case is None:
            return None
        shard_id, cure, _ = self._case
        is_healed = not self._hearings[shard_id].run
        if not is_healed and not (cure is Cure.IDENTIFY and self._is_in_vain()):
            return None
        self._case = None
        self.counts["healed" if is_healed else "given_up"] += 1
        if not is_healed:
            # Where nobody talks, one new session was proof enough that it is not the sessions.
            resting = [shard_id] if self._has_witness(shard_id) else self._hearings
            self._rests.update(dict.fromkeys(resting, REST))
        return shard_id, is_healed

    def run_of(self, shard_id: int) -> int:
        """Return for how many windows a shard has been silent."""
        return self._hearings[shard_id].run

    def reason(self, shard_id: int) -> str | None:
        """Return what an operator wants to know of a shard that is deaf."""
        if self._case is not None and self._case[0] == shard_id:
            return f"silent for {self.run_of(shard_id)} windows in a row; {self._case[1]} is tried"
        if shard_id in self._rests and self.run_of(shard_id):
            return f"silent for {self.run_of(shard_id)} windows in a row, and a new session did not help"
        return None

    def run_needed(self, shard_id: int) -> int | None:
        """Return how many silent windows in a row are suspicious; None while too little is known."""
        hearing = self._hearings[shard_id]
        windows = len(hearing.past)
        if windows < self._min_history:
            return None
        # Laplace's rule: what never happened may still happen.
        surprise_of_one = -log((windows - hearing.talking + 1) / (windows + 2))
        surprise = self._surprise * (1.0 if self._has_witness(shard_id) else WITHOUT_WITNESS)
        return max(MIN_RUN, ceil(surprise / surprise_of_one), ceil(TIMES_LONGER * hearing.longest_run) + 1)

    def _is_deaf(self, shard_id: int) -> bool:
        hearing = self._hearings[shard_id]
        if hearing.heard is None or hearing.run < MIN_RUN:
            return False
        needed = self.run_needed(shard_id)
        return needed is not None and hearing.run >= needed

    def _is_in_vain(self) -> bool:
        """Tell whether the shard was silent after its cure for as long as made it suspicious before."""
        assert self._case is not None
        shard_id, _, run_before = self._case
        return self.run_of(shard_id) - run_before >= (self.run_needed(shard_id) or MIN_RUN)

    def _has_witness(self, shard_id: int) -> bool:
        """Tell whether most of the siblings that usually talk have heard something in the last window."""
        itself = self._hearings[shard_id]
        siblings = self._witnesses - itself.is_talkative
        talking = self._talking - (itself.is_talkative and not itself.run)
        return siblings > 0 and 2 * talking > siblings
