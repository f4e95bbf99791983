"""Discord's REST endpoints, as far as bots need them to start, to answer and to be tested."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from tornado.web import RequestHandler

from gateway_service.simulator.gateway import GatewayServer
from gateway_service.simulator.guilds import Json
from gateway_service.simulator.hub import Hub


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """An HTTP answer in place of the real one: 401, 429 with its headers, a Cloudflare page, a late 500."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(slots=True)
class Api:
    """What the endpoints share."""

    hub: Hub
    gateway: GatewayServer
    commands: dict[tuple[str | None, str], Json] = field(default_factory=dict)
    """Application commands by guild (None for global ones) and id."""
    answered_interactions: set[str] = field(default_factory=set)
    _scripted: dict[str, list[ScriptedAnswer]] = field(default_factory=dict)

    def script(self, path: str, answer: ScriptedAnswer, *, times: int) -> None:
        """Answer the next ``times`` requests to ``path``, below the version, with ``answer``."""
        self._scripted.setdefault(path, []).extend([answer] * times)

    def scripted(self, path: str) -> ScriptedAnswer | None:
        """Take the next scripted answer for a full request path."""
        for suffix, answers in self._scripted.items():
            if answers and path.endswith(suffix):
                return answers.pop(0)
        return None


class Endpoint(RequestHandler):
    """What all of Discord's endpoints share: scripted answers, the token, exact JSON content type."""

    needs_token = True

    def initialize(self, api: Api) -> None:
        self.api = api
        self.hub = api.hub

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    async def prepare(self) -> None:
        answer = self.api.scripted(self.request.path)
        if answer is not None:
            await asyncio.sleep(answer.delay_s)
            self.set_status(answer.status)
            self.set_header("Content-Type", "application/json")
            for name, value in answer.headers.items():
                self.set_header(name, value)
            await self.finish(answer.body)
        elif self.needs_token and not self._is_authorized():
            self.refuse(401, 0, "401: Unauthorized")

    def reply(self, body: Any, status: int = 200) -> None:
        self.set_status(status)
        # Exactly this, without a charset: discord.py takes anything else for text and fails at login.
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps(body))

    def refuse(self, status: int, code: int, message: str) -> None:
        self.reply({"message": message, "code": code}, status)

    def write_error(self, status_code: int, **_: Any) -> None:
        self.refuse(status_code, 0, f"{status_code}: {self._reason}")

    def body(self) -> Json:
        """Return the JSON object of the request, also from the multipart form that carries attachments."""
        form = self.get_body_argument("payload_json", None)
        try:
            data = orjson.loads(form if form is not None else self.request.body or b"{}")
        except orjson.JSONDecodeError:
            data = {}
        return data if isinstance(data, dict) else {"items": data}

    def _is_authorized(self) -> bool:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bot" and self.hub.accepts(token)


class UnknownEndpoint(Endpoint):
    needs_token = False

    async def prepare(self) -> None:
        await super().prepare()
        if not self._finished:
            self.refuse(404, 0, "404: Not Found")


class _Gateway(Endpoint):
    needs_token = False

    def get(self) -> None:
        self.reply({"url": self.api.gateway.url})


class _GatewayBot(Endpoint):
    def get(self) -> None:
        self.reply(
            {
                "url": self.api.gateway.url,
                "shards": self.hub.recommended_shards,
                "session_start_limit": {
                    "total": self.hub.budget.total,
                    "remaining": self.hub.budget.remaining,
                    "reset_after": self.hub.budget.reset_after_ms(self.hub.clock()),
                    "max_concurrency": self.hub.pacing.max_concurrency,
                },
            }
        )


class _Me(Endpoint):
    def get(self) -> None:
        self.reply(self.hub.world.bot_user())


class _Application(Endpoint):
    def get(self) -> None:
        world = self.hub.world
        self.reply(
            {
                "id": str(world.bot_id),
                "name": "simulated",
                "icon": None,
                "description": "",
                "summary": "",
                "rpc_origins": [],
                "bot_public": True,
                "bot_require_code_grant": False,
                "verify_key": "0" * 64,
                "flags": 0,
                "owner": world.user(1),
                "team": None,
                "hook": True,
                "redirect_uris": [],
                "interactions_endpoint_url": None,
                "role_connections_verification_url": None,
                "approximate_guild_count": world.guilds,
                "approximate_user_install_count": 0,
            }
        )


class _MyGuilds(Endpoint):
    def get(self) -> None:
        guilds = (self.hub.world.guild(guild_id) for guild_id in self.hub.world.guild_ids[:200])
        keys = ("id", "name", "icon", "banner", "features")
        self.reply([{key: guild[key] for key in keys} | {"owner": False, "permissions": "0"} for guild in guilds])


class _Guild(Endpoint):
    def get(self, guild_id: str) -> None:
        if int(guild_id) in self.hub.world.guild_ids:
            self.reply(self.hub.world.guild(int(guild_id)))
        else:
            self.refuse(404, 10004, "Unknown Guild")


class _Members(Endpoint):
    def get(self, guild_id: str) -> None:
        if int(guild_id) not in self.hub.world.guild_ids:
            self.refuse(404, 10004, "Unknown Guild")
            return
        limit = min(int(self.get_query_argument("limit", "1")), 1000)
        self.reply([self.hub.world.member(index) for index in range(min(limit, self.hub.world.member_count))])


class _Channel(Endpoint):
    def get(self, channel_id: str) -> None:
        guild_id = self.hub.world.guild_of_channel(int(channel_id))
        channel = self.hub.world.channel(int(channel_id), guild_id=guild_id)
        self.reply(channel | ({} if guild_id is None else {"guild_id": str(guild_id)}))


class _Messages(Endpoint):
    def post(self, channel_id: str) -> None:
        """Create a message; it is dispatched as well, so that outside clients can drive traffic."""
        guild_id = self.hub.world.guild_of_channel(int(channel_id))
        full, _ = self.hub.templates.get("MESSAGE_CREATE", guild_id, 0)
        message = orjson.loads(full.text(self.hub.next_id()))
        posted = self.body()
        message |= {key: posted[key] for key in ("content", "embeds", "tts", "nonce", "components") if key in posted}
        message |= {"channel_id": channel_id, "author": self.hub.world.user(0)}
        self.hub.dispatch("MESSAGE_CREATE", message)
        self.reply(message)


class _InteractionCallback(Endpoint):
    needs_token = False  # the interaction's own token is in the path

    def post(self, interaction_id: str, _token: str) -> None:
        if interaction_id in self.api.answered_interactions:
            self.refuse(400, 40060, "Interaction has already been acknowledged.")
            return
        self.api.answered_interactions.add(interaction_id)
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()


class _Webhook(Endpoint):
    needs_token = False

    def post(self, application_id: str, _token: str) -> None:
        self._echo(application_id)

    def patch(self, application_id: str, _token: str) -> None:
        self._echo(application_id)

    def _echo(self, application_id: str) -> None:
        full, _ = self.hub.templates.get("MESSAGE_CREATE", None, 0)
        message = orjson.loads(full.text(self.hub.next_id()))
        self.reply(message | self.body() | {"application_id": application_id, "author": self.hub.world.user(0)})


class _Commands(Endpoint):
    """Application commands, of the whole bot or of one guild."""

    def get(self, _app: str, guild_id: str | None = None) -> None:
        self.reply(self._all(guild_id))

    def post(self, app: str, guild_id: str | None = None) -> None:
        self.reply(self._store(app, guild_id, self.body()), 201)

    def put(self, app: str, guild_id: str | None = None) -> None:
        for key in [key for key in self.api.commands if key[0] == guild_id]:
            del self.api.commands[key]
        for command in self.body().get("items", []):
            self._store(app, guild_id, command)
        self.reply(self._all(guild_id))

    def _all(self, guild_id: str | None) -> list[Json]:
        return [command for (guild, _), command in self.api.commands.items() if guild == guild_id]

    def _store(self, app: str, guild_id: str | None, command: Json) -> Json:
        command_id = str(command.get("id") or self.hub.next_id())
        defaults = {"type": 1, "description": "", "options": [], "default_member_permissions": None, "nsfw": False}
        owned = {"id": command_id, "application_id": app, "version": command_id}
        stored = defaults | command | owned | ({} if guild_id is None else {"guild_id": guild_id})
        self.api.commands[guild_id, command_id] = stored
        return stored


class _Command(Endpoint):
    """One application command; the guild is the middle argument and may be missing."""

    def get(self, _app: str, guild_id: str | None, command_id: str) -> None:
        command = self.api.commands.get((guild_id, command_id))
        if command is None:
            self.refuse(404, 10063, "Unknown application command")
        else:
            self.reply(command)

    def patch(self, _app: str, guild_id: str | None, command_id: str) -> None:
        if (guild_id, command_id) in self.api.commands:
            self.api.commands[guild_id, command_id] |= self.body()
        self.get(_app, guild_id, command_id)

    def delete(self, _app: str, guild_id: str | None, command_id: str) -> None:
        self.api.commands.pop((guild_id, command_id), None)
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()


ROUTES: Final[list[tuple[str, type[Endpoint]]]] = [
    (r"/gateway", _Gateway),
    (r"/gateway/bot", _GatewayBot),
    (r"/users/@me", _Me),
    (r"/users/@me/guilds", _MyGuilds),
    (r"/(?:oauth2/)?applications/@me", _Application),
    (r"/applications/([0-9]+)/commands", _Commands),
    (r"/applications/([0-9]+)/guilds/([0-9]+)/commands", _Commands),
    (r"/applications/([0-9]+)(?:/guilds/([0-9]+))?/commands/([0-9]+)", _Command),
    (r"/interactions/([0-9]+)/([^/]+)/callback", _InteractionCallback),
    (r"/webhooks/([0-9]+)/([^/]+)(?:/messages/@original)?", _Webhook),
    (r"/guilds/([0-9]+)", _Guild),
    (r"/guilds/([0-9]+)/members", _Members),
    (r"/channels/([0-9]+)", _Channel),
    (r"/channels/([0-9]+)/messages", _Messages),
]
