// Unmodified discord.js: one Client with all shards.
"use strict";

const { Client } = require("discord.js");
const { ALL_INTENTS, atOnce, main, report } = require("./reporting.cjs");

let client;

main(
  ({ api, token, num_shards }) => {
    client = new Client({
      intents: ALL_INTENTS,
      rest: { api },
      ws: { buildIdentifyThrottler: atOnce },
      shards: [...Array(num_shards).keys()],
      shardCount: num_shards,
    });
    client.on("clientReady", () => {
      const guilds = client.guilds.cache.map((guild) => guild.id);
      report("ready", { shards: [...client.ws.shards.keys()], guilds, user: client.user.tag });
    });
    client.on("shardResume", (shard) => report("resumed", { shard }));
    client.on("messageCreate", (message) =>
      report("message", { guild: message.guildId, shard: message.guild.shardId, content: message.content }),
    );
    client.on("error", (error) => report("error", { error: String(error) }));
    client.login(token);
  },
  () => client.destroy(),
);
