// What every client script does: read where to connect, print what happens as JSON lines.
"use strict";

const readline = require("node:readline");

// Every intent that Discord documents.
exports.ALL_INTENTS = 53608447;

// Identify at once: the library's own 5 s make no test of what it does.
exports.atOnce = () => ({ waitForIdentify: async () => {} });

exports.report = (happening, facts) => {
  process.stdout.write(JSON.stringify({ happening, ...facts }) + "\n");
};

// Calls `connect` with the first line of stdin (the token comes this way and not in argv), `leave` at its end.
exports.main = (connect, leave) => {
  const lines = readline.createInterface({ input: process.stdin });
  lines.once("line", (line) => {
    const target = JSON.parse(line);
    connect({ ...target, api: target.api_url.replace(/\/v\d+$/, "") });
  });
  lines.once("close", () => leave().then(() => process.exit(0)));
};
