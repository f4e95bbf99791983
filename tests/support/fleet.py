"""A fleet that does what a test says, for the control plane without processes."""

from gateway_service.errors import TrialFailed
from gateway_service.ipc.statuses import ProcessStatus, ShardStatus
from gateway_service.settings import GatewayOptions
from gateway_service.supervisor import BudgetStatus, ProcessSnapshot, Snapshot
from gateway_service.supervisor.live_settings import LiveSettings

BUDGET = BudgetStatus(
    total=1000,
    remaining=990,
    reserve=200,
    spent=10,
    reset_at=None,
    can_restart_all=True,
    breaker="closed",
    max_concurrency=1,
    waiting=0,
    held=0,
    next_at=None,
    granted=10,
    forced=0,
)


def shard(shard_id, state="live", **fields):
    return ShardStatus(shard_id=shard_id, state=state, since=1.0, **fields)


def process(index, shard_ids, state="RUNNING", broker="up", broker_error=None, *, reconnects=None):
    status = ProcessStatus(broker=broker, broker_error=broker_error) if state == "RUNNING" else None
    return ProcessSnapshot(
        index=index,
        state=state,
        since=1.0,
        pid=100 + index,
        shard_ids=tuple(shard_ids),
        restarts=0,
        last_exit=None,
        status=status,
        reconnects=reconnects or {},
    )


def snapshot(*shards, num_shards=None, processes=None):
    ids = [each.shard_id for each in shards]
    return Snapshot(
        num_shards=num_shards or len(shards),
        shards=shards,
        processes=tuple(processes or [process(0, ids)]),
        identify_budget=BUDGET,
    )


class FakeFleet:
    """Keeps what it was asked for."""

    def __init__(self, *shards, num_shards=None, processes=None):
        self.shards = {each.shard_id: each for each in shards}
        self.num_shards = num_shards
        self.processes = processes
        self.restarted = []
        self.commands = []
        self.presences = {}
        self.refusals = {}
        self.answer = []
        self.on_restart = lambda _index: None
        self.file = {}
        self.does_start = True
        self.settings = LiveSettings(self._read_options(), self._read_options, lambda _message: None)

    def _read_options(self):
        """Read the settings of :attr:`file`, as a service does."""
        return GatewayOptions(token="a.b.c", **self.file)

    async def take_settings(self, new):
        if not self.does_start:
            raise TrialFailed("exit code 1")
        self.settings.use(new)

    def snapshot(self):
        return snapshot(*self.shards.values(), num_shards=self.num_shards, processes=self.processes)

    def change(self, shard_id, **fields):
        self.shards[shard_id] = self.shards[shard_id].model_copy(update=fields)

    def restart_shard(self, shard_id, mode):
        self.restarted.append((shard_id, mode))

    async def restart_process(self, index):
        self.restarted.append(index)
        self.on_restart(index)

    async def command(self, shard_id, op, data, timeout_s=0.0):
        self.commands.append((shard_id, int(op), data, timeout_s))
        return self.answer

    async def set_presence(self, presence, shard_ids):
        self.presences.update(dict.fromkeys(shard_ids, presence))
        return self.refusals

    async def set_voice_state(self, guild_id, voice):
        self.commands.append((guild_id, 4, voice, 0.0))


class FakePeers:
    """Other supervisors with ready answers."""

    def __init__(self, *answers):
        self.answers = answers
        self.asked = []
        self.hosts = []
        self.callers = []

    async def ask(self, operation, arguments, *, timeout_s, is_enough, host="", caller=""):  # noqa: ARG002 - answers are ready
        self.asked.append((operation, arguments))
        self.callers.append(caller)
        self.hosts.append(host)
        given = []
        for answer in self.answers:
            given.append(answer)
            if is_enough(given):
                break
        return given
