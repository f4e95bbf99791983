// Unmodified @discordjs/ws: one manager with all shards, without the client above it.
"use strict";

const { REST } = require("@discordjs/rest");
const { WebSocketManager, WebSocketShardEvents } = require("@discordjs/ws");
const { ALL_INTENTS, atOnce, main, report } = require("./reporting.cjs");

let manager;
const guilds = new Set();
const shards = new Set();
let expected = 0;

const heard = ({ t, d }, shard, numShards) => {
  if (t === "READY") {
    shards.add(shard);
    expected += d.guilds.length;
  } else if (t === "RESUMED") {
    report("resumed", { shard });
  } else if (t === "GUILD_CREATE") {
    guilds.add(d.id);
    if (shards.size === numShards && guilds.size === expected) {
      report("ready", { shards: [...shards].sort(), guilds: [...guilds], user: "" });
    }
  } else if (t === "MESSAGE_CREATE") {
    report("message", { guild: d.guild_id, shard, content: d.content });
  }
};

main(
  ({ api, token, num_shards }) => {
    const rest = new REST({ api, version: "10" }).setToken(token);
    manager = new WebSocketManager({
      token,
      intents: ALL_INTENTS,
      shardCount: num_shards,
      rest,
      buildIdentifyThrottler: atOnce,
    });
    manager.on(WebSocketShardEvents.Dispatch, (payload, shard) => heard(payload, shard, num_shards));
    manager.on(WebSocketShardEvents.Error, (error) => report("error", { error: String(error) }));
    manager.connect();
  },
  () => manager.destroy(),
);
