"""The page, its news and its actions, behind Flower's own authentication."""

import json
import os
from pathlib import Path
from typing import Any, Final

from flower.api import BaseApiHandler
from flower.utils import strtobool
from flower.views import BaseHandler
from tornado.web import HTTPError, StaticFileHandler, authenticated, url

from gateway_service.control.operations import operation_named, parsed
from gateway_service.control.other_sites import is_for_this_machine, is_from_other_site
from gateway_service.flower.operations import described, filled_in
from gateway_service.refusals import ControlError, InvalidArgument, TooLarge
from gateway_service.settings import Address

STATIC: Final = Path(__file__).parent / "static"
MAX_SHARDS_AT_ONCE: Final = 250
MAX_BODY_BYTES: Final = 64 * 1024
"""As over HTTP; Tornado itself takes 100 MB, and what is asked for travels through the broker."""


class ShardsView(BaseHandler):
    """The page; everything in it comes by script."""

    @authenticated
    def get(self) -> None:
        options = self.application.options
        operations = json.dumps(described())
        self.render("gateway/shards.html", why_not=why_not(options, is_open=_is_open()), operations=operations)


class ShardsNews(BaseHandler):
    """What changed since the version that the page has."""

    @authenticated
    def get(self) -> None:
        gateways = self.application.gateways
        try:
            since = int(self.get_argument("since", "0"))
        except ValueError:
            raise HTTPError(400, "since must be a whole number") from None
        if self.get_argument("epoch", "") != gateways.epoch:
            since = 0
        self.set_header("Cache-Control", "no-store")
        self.write(gateways.news(since))


class ShardsAction(BaseApiHandler):
    """An action of the page; answers with the failures, or with the sentence that says why nothing was done."""

    def prepare(self) -> None:
        super().prepare()
        # Flower checks this only where it has authentication, and older ones nowhere.
        if is_from_other_site(self.request.headers):
            raise HTTPError(403, "requests from other sites are refused")
        if must_be_local(self.application.options, is_open=_is_open()) and not is_for_this_machine(
            self.request.headers
        ):
            raise HTTPError(403, "Host: without authentication, it must be localhost or a loopback address")
        if getattr(self.application.options, "read_only", False):
            raise HTTPError(403, "Flower is read-only (--read_only)")

    @authenticated
    async def post(self, action: str) -> None:
        try:
            if len(self.request.body) > MAX_BODY_BYTES:
                raise TooLarge(f"the request has more than {MAX_BODY_BYTES} bytes")
            asked = json.loads(self.request.body)
            answer = await self._perform(action, asked)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise HTTPError(400, "the request is not one of the Shards page") from None
        except ControlError as exc:
            self.set_status(exc.status)
            answer = {"failures": [exc.to_json("")]}
        self.write(answer)

    async def _perform(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        gateways, caller = self.application.gateways, self._caller()
        match action:
            case "restart":
                shard_ids, mode = [int(each) for each in asked["shard_ids"]], str(asked["mode"])
                if len(shard_ids) > MAX_SHARDS_AT_ONCE:
                    raise InvalidArgument(
                        f"shard_ids: {len(shard_ids)} shards are too many at once; select up to {MAX_SHARDS_AT_ONCE}, "
                        "or restart all of them rolling"
                    )
                for shard_id in shard_ids:
                    parsed(operation_named("restart_shard"), {"shard_id": shard_id, "mode": mode})
                return {"failures": await gateways.restart(shard_ids, mode, caller)}
            case "presence":
                operation = operation_named("update_presence")
                arguments = parsed(operation, {"presence": asked["presence"]} | asked)
                _, failures = await gateways.perform(operation, arguments, "", caller)
                return {"failures": failures}
            case "operation":
                host = str(asked["host"])
                operation, arguments = filled_in(asked["operation"], asked["arguments"], host)
                results, failures = await gateways.perform(operation, arguments, host, caller)
                return {"failures": failures, "results": results}
            case _:
                return {"failures": await gateways.roll(caller)}

    def _caller(self) -> str:
        return self.current_user if isinstance(self.current_user, str) else "anyone"


def why_not(options: Any, *, is_open: bool) -> str:
    """Return why the page shows and does nothing else; empty when its actions work."""
    if getattr(options, "read_only", False):
        return "Flower is read-only, so nothing can be restarted or set from here."
    if not (options.basic_auth or options.auth or is_open):
        return (
            "Flower runs without authentication, so it takes no actions: start it with --basic_auth=user:password "
            "(or, on a machine of your own, with FLOWER_UNAUTHENTICATED_API=true)."
        )
    return ""


def must_be_local(options: Any, *, is_open: bool) -> bool:
    """Tell whether an action can only be meant for a name of this machine: who is open to a network has other names."""
    has_authentication = options.basic_auth or options.auth
    return is_open and not has_authentication and Address(options.address, 0).is_loopback


def _is_open() -> bool:
    return bool(strtobool(os.environ.get("FLOWER_UNAUTHENTICATED_API") or "false"))


HANDLERS: Final = (
    url(r"/shards", ShardsView, name="gateway_shards"),
    url(r"/shards/news", ShardsNews),
    url(r"/shards/static/(.*)", StaticFileHandler, {"path": str(STATIC)}, name="gateway_static"),
    url(r"/shards/(restart|presence|roll|operation)", ShardsAction),
)
