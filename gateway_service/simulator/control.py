"""``/_sim``: faults and dispatches from outside, for a simulator that runs as its own process."""

from typing import Any, Final

import orjson
from tornado.web import RequestHandler

from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.hub import Hub
from gateway_service.simulator.orders import Order
from gateway_service.simulator.strikes import Striker
from gateway_service.simulator.traffic import MIXES, BackgroundTraffic

_ROOT: Final = r"/_sim"


class _Control(RequestHandler):
    def initialize(self, hub: Hub, gateway: GatewayServer, background: BackgroundTraffic) -> None:
        self.hub = hub
        self.gateway = gateway
        self.background = background
        self.discord = Striker(hub, gateway)

    def reply(self, body: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps(body))


class _Fault(_Control):
    async def post(self, shard_id: str | None = None, verb: str | None = None) -> None:
        """Let faults strike: ``/_sim/shards/3/close?code=4009``, or an order in JSON at ``/_sim/faults``."""
        try:
            if verb is None:
                order = Order.parse(orjson.loads(self.request.body))
            else:
                arguments = {name: self.get_query_argument(name) for name in self.request.query_arguments}
                order = Order.parse({**arguments, "do": verb, "shard": int(shard_id or 0)})
            self.reply({"struck": await order.perform(self.discord)})
        except ValueError as error:
            self.reply({"message": str(error)}, 400)

    def delete(self) -> None:
        """Forget what is armed and has not struck yet."""
        self.hub.faults.disarm()
        self.reply({})


class _Emit(_Control):
    def post(self) -> None:
        """Dispatch ``{"event": ..., "data": ..., "guild_id": ...}``; without ``data`` it is generated."""
        order = orjson.loads(self.request.body)
        guild_id = None if order.get("guild_id") is None else int(order["guild_id"])
        if "data" in order:
            reached = self.hub.dispatch(order["event"], order["data"], guild_id)
        else:
            reached = self.hub.generate(order["event"], guild_id)
        self.reply({"sessions": reached})


class _Traffic(_Control):
    def post(self) -> None:
        """Begin traffic in place of the present one: ``{"rate": 500, "total": 1000, "mix": "busy"}``."""
        order = orjson.loads(self.request.body)
        mix = MIXES[order.get("mix", "messages")]
        self.background.start(rate=order.get("rate"), total=order.get("total"), mix=mix)
        self.reply({"running": True})

    async def delete(self) -> None:
        await self.background.stop()
        self.reply({"running": False})


class _Sent(_Control):
    def get(self) -> None:
        """Return what was put on a wire, per session and in total, and what waits for its client."""
        ranges = self.hub.sessions.sent_ranges()
        sent = self.hub.sessions.sent
        self.reply(
            {
                "total": sent.total,
                "by_event": dict(sent.by_event),
                "waiting": sum(session.backlog for session in self.hub.sessions),
                "traffic": self.background.is_running,
                "sessions": [
                    {
                        "session": r.session,
                        "shard_id": r.shard_id,
                        "num_shards": r.num_shards,
                        "last_seq": r.last_seq,
                    }
                    for r in ranges
                ],
            }
        )


class _Transcript(_Control):
    def get(self) -> None:
        self.reply([record.to_json() for record in self.hub.transcript])


def control_routes(
    hub: Hub, gateway: GatewayServer, background: BackgroundTraffic
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of ``/_sim``."""
    arguments = {"hub": hub, "gateway": gateway, "background": background}
    return [
        (_ROOT + r"/shards/([0-9]+)/([a-z0-9-]+)", _Fault, arguments),
        (_ROOT + r"/faults", _Fault, arguments),
        (_ROOT + r"/emit", _Emit, arguments),
        (_ROOT + r"/traffic", _Traffic, arguments),
        (_ROOT + r"/sent", _Sent, arguments),
        (_ROOT + r"/transcript", _Transcript, arguments),
    ]
