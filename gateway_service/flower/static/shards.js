// The Shards page: its parts, joined.

import { act, confirmed, confirmedIdentify } from "./actions.js";
import { byId } from "./dom.js";
import { Feed } from "./feed.js";
import { plural } from "./format.js";
import { OperationForm } from "./operations.js";
import { showBudget, showLedger, showRolls } from "./panels.js";
import { PresenceForm } from "./presence.js";
import { ShardTable } from "./table.js";
import { Tiles } from "./tiles.js";

const { base, whyNot } = byId("gateway").dataset;
const mayAct = whyNot === "";
const tiles = new Tiles();
const table = new ShardTable(showSelection);
const presence = new PresenceForm(setPresence, () => setPresence(null));
const operations = new OperationForm(base);
const feed = new Feed(base, showNews, showSilence, showSignedOut);

function showNews(news) {
  table.update(news);
  const rows = [...table.rows.values()];
  tiles.show(rows, news.budgets);
  showBudget(news.budgets, news.now);
  showLedger(rows);
  showRolls(news.rolls);
  operations.hostsChanged(new Set(rows.map((row) => row.host)));
  const isRolling = news.rolls.some((roll) => roll.state === "rolling");
  byId("gw-roll-all").disabled = !mayAct || !rows.length || isRolling;
  const silent = rows.filter((row) => row.is_stale).length;
  showHeard(silent ? `${plural(silent, "shard")} silent` : rows.length ? "Live" : "Waiting for gateways", silent || !rows.length ? "busy" : "good");
}

function showSilence() {
  showHeard("Flower does not answer", "bad");
}

function showSignedOut() {
  showHeard("Your sign-in has expired.", "bad", true);
}

function showHeard(words, tone, isSignedOut = false) {
  byId("gw-sign-in").hidden = !isSignedOut;
  if (byId("gw-heard").textContent !== words) byId("gw-heard").textContent = words;
  byId("gw-dot").dataset.tone = tone;
}

function showSelection() {
  const number = table.selected.size;
  byId("gw-resume").disabled = byId("gw-identify").disabled = !mayAct || number === 0;
  presence.selectionChanged(number);
}

async function restart(mode) {
  const shard_ids = [...table.selected].sort((a, b) => a - b);
  if (mode === "identify" && !(await confirmedIdentify(shard_ids.length))) return;
  await act(base, "restart", { shard_ids, mode }, `${plural(shard_ids.length, "shard")} asked to ${mode}.`);
  feed.soon();
}

async function rollAll() {
  const text =
    "One process after the other restarts, on one host after the other. Sessions are kept and resumed; all of it halts when a resume fails.";
  if (!(await confirmed("Restart everything?", text, "Rolling restart"))) return;
  await act(base, "roll", {}, "Rolling restart begun.");
  feed.soon();
}

function setPresence(wanted) {
  const asked = { presence: wanted };
  if (presence.isForSelected) asked.shard_ids = [...table.selected].sort((a, b) => a - b);
  const whom = asked.shard_ids ? plural(asked.shard_ids.length, "shard") : "every shard";
  return act(base, "presence", asked, wanted ? `Presence set for ${whom}.` : `Configured presence again for ${whom}.`);
}

byId("gw-resume").addEventListener("click", () => restart("resume"));
byId("gw-identify").addEventListener("click", () => restart("identify"));
byId("gw-roll-all").addEventListener("click", rollAll);
byId("gw-why-not").textContent = whyNot;
byId("gw-why-not").hidden = mayAct;
if (!mayAct) {
  presence.disable();
  operations.disable();
}
feed.ask();
