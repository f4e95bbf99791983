"""The simulator's REST API over real HTTP."""

import httpx
import pytest

from gateway_service.contract import session_hash
from gateway_service.simulator import ScriptedAnswer, Simulator, SimulatorConfig


@pytest.fixture
async def sim():
    config = SimulatorConfig(shards=3, guilds=2, max_concurrency=16, identify_window_s=0, control=True)
    async with Simulator(config) as sim:
        yield sim


@pytest.fixture
async def api(sim):
    async with httpx.AsyncClient(base_url=sim.api_url, headers={"Authorization": f"Bot {sim.token}"}) as api:
        yield api


async def test_gateway_needs_no_token(sim):
    async with httpx.AsyncClient() as api:
        response = await api.get(f"{sim.api_url}/gateway")
    assert response.json() == {"url": sim.gateway_url}


async def test_gateway_bot_has_all_four_numbers(sim, api):
    response = await api.get("/gateway/bot")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "url": sim.gateway_url,
        "shards": 3,
        "session_start_limit": {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 16},
    }


async def test_an_identify_costs_one_of_the_session_starts(sim, api, dial):
    await (await dial(sim.gateway_url)).identify(sim)
    limit = (await api.get("/gateway/bot")).json()["session_start_limit"]
    assert limit["remaining"] == 999
    assert 0 < limit["reset_after"] <= 24 * 3600 * 1000


@pytest.mark.parametrize("path", ["/gateway/bot", "/users/@me", "/oauth2/applications/@me", "/guilds/1"])
@pytest.mark.parametrize("authorization", [None, "Bot wrong.token.here", "Bearer x"])
async def test_a_wrong_token_is_answered_with_401(sim, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx.AsyncClient(headers=headers) as api:
        response = await api.get(sim.api_url + path)
    assert (response.status_code, response.json()) == (401, {"message": "401: Unauthorized", "code": 0})


async def test_an_unknown_path_is_answered_with_json(api):
    response = await api.get("/nothing/here")
    assert (response.status_code, response.json()) == (404, {"message": "404: Not Found", "code": 0})
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/users/@me", "mfa_enabled"),
        ("/oauth2/applications/@me", "flags"),
        ("/applications/@me", "verify_key"),
    ],
)
async def test_the_bot_describes_itself(sim, api, path, key):
    body = (await api.get(path)).json()
    assert body["id"] == str(sim.config.bot_id)
    assert key in body


async def test_guilds_members_and_channels_can_be_read(sim, api):
    guild_id = sim.guild_ids[1]
    guild = (await api.get(f"/guilds/{guild_id}")).json()
    members = (await api.get(f"/guilds/{guild_id}/members", params={"limit": 1000})).json()
    channel = (await api.get(f"/channels/{guild_id + 1}")).json()
    mine = (await api.get("/users/@me/guilds")).json()

    assert guild["id"] == str(guild_id)
    assert len(members) == 6
    assert channel["guild_id"] == str(guild_id)
    assert [guild["id"] for guild in mine] == [str(guild_id) for guild_id in sim.guild_ids]
    assert (await api.get("/guilds/1")).status_code == 404
    assert (await api.get("/guilds/1/members")).status_code == 404


@pytest.mark.parametrize("scope", ["", "/guilds/77"])
async def test_application_commands_are_kept_with_ids(sim, api, scope):
    root = f"/applications/{sim.config.bot_id}{scope}/commands"
    created = await api.post(root, json={"name": "ping"})
    command = f"{root}/{created.json()['id']}"
    renamed = await api.patch(command, json={"name": "pong"})

    assert created.status_code == 201
    assert renamed.json() == created.json() | {"name": "pong"}
    assert (await api.get(root)).json() == [renamed.json()]
    assert (await api.delete(command)).status_code == 204
    assert (await api.get(command)).status_code == 404
    replaced = (await api.put(root, json=[{"name": "a"}, {"name": "b"}])).json()
    assert [entry["name"] for entry in replaced] == ["a", "b"]


async def test_an_interaction_is_answered_once(sim):
    async with httpx.AsyncClient() as api:
        url = f"{sim.api_url}/interactions/5/some-token/callback"
        assert (await api.post(url, json={"type": 5})).status_code == 204
        second = await api.post(url, json={"type": 5})
        followed = await api.patch(f"{sim.api_url}/webhooks/1/some-token/messages/@original", json={"content": "hi"})
    assert (second.status_code, second.json()["code"]) == (400, 40060)
    assert followed.json()["content"] == "hi"


async def test_a_posted_message_is_dispatched_on_the_shard_of_its_guild(sim, api, dial):
    shard_id = sim.guild_ids[0] >> 22 & 1
    client = await dial(sim.gateway_url)
    await client.identify(sim, (shard_id, 2))
    await client.payload()

    response = await api.post(f"/channels/{sim.guild_ids[0] + 1}/messages", json={"content": "zażółć"})
    dispatch = await client.payload()

    assert response.json()["content"] == "zażółć"
    assert (dispatch["t"], dispatch["d"]) == ("MESSAGE_CREATE", response.json())


async def test_an_answer_can_be_scripted(sim, api):
    page = ScriptedAnswer(
        status=429, body=b"<html>slow down</html>", headers={"Content-Type": "text/html", "Retry-After": "3"}
    )
    sim.answer("/gateway/bot", page)

    scripted = await api.get("/gateway/bot")

    assert (scripted.status_code, scripted.text) == (429, "<html>slow down</html>")
    assert scripted.headers["Retry-After"] == "3"
    assert (await api.get("/gateway/bot")).status_code == 200


async def test_control_injects_faults_and_dispatches(sim, dial):
    client = await dial(sim.gateway_url)
    ready = await client.identify(sim)
    await client.payloads(2)
    async with httpx.AsyncClient(base_url=sim.api_url.removesuffix("/api/v10")) as api:
        emitted = await api.post("/_sim/emit", json={"event": "ODD", "data": None})
        generated = await api.post("/_sim/emit", json={"event": "TYPING_START", "guild_id": str(sim.guild_ids[0])})
        events = [(p["t"], p["d"] is None) for p in await client.payloads(2)]
        struck = await api.post("/_sim/shards/0/op7")
        op7 = await client.payload()
        sent = (await api.get("/_sim/sent")).json()
        lines = (await api.get("/_sim/transcript")).json()
        await api.post("/_sim/shards/0/freeze")
        await api.post("/_sim/shards/0/thaw")
        op9 = await api.post("/_sim/shards/0/op9", params={"resumable": "true"})
        invalidated = await client.payload()

    assert (emitted.json(), generated.json()) == ({"sessions": 1}, {"sessions": 1})
    assert events == [("ODD", True), ("TYPING_START", False)]
    assert (struck.json(), op7["op"]) == ({"struck": 1}, 7)
    assert (op9.json(), invalidated["d"]) == ({"struck": 1}, True)
    session = session_hash(ready["d"]["session_id"])
    assert sent["total"] == 5
    assert sent["sessions"] == [{"session": session, "shard_id": 0, "num_shards": 1, "last_seq": 5}]
    assert sim.token not in str(lines)


@pytest.mark.parametrize(("path", "code"), [("close?code=4009", 4009), ("close", 4000), ("abort", 1006)])
async def test_control_closes_connections(sim, dial, path, code):
    client = await dial(sim.gateway_url)
    await client.identify(sim)
    async with httpx.AsyncClient(base_url=sim.api_url.removesuffix("/api/v10")) as api:
        await api.post(f"/_sim/shards/0/{path}")
    assert await client.close_code() == code


async def test_control_is_off_unless_asked_for():
    async with Simulator(SimulatorConfig()) as sim, httpx.AsyncClient() as api:
        response = await api.post(sim.api_url.removesuffix("/api/v10") + "/_sim/shards/0/op7")
    assert response.status_code == 404
