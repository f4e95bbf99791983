// Identify budget, ledger and rolling restart: facts as pairs and bars.

import { byId, element } from "./dom.js";
import { age, count, plural } from "./format.js";

const pairs = (facts) => element("dl", { class: "gw-facts" }, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));

function bar(value, max, label, mark) {
  const track = element("div", { class: "gw-meter", role: "meter", "aria-label": label, "aria-valuenow": value, "aria-valuemin": 0, "aria-valuemax": max });
  const filled = element("span");
  filled.style.width = `${max ? Math.min(100, (100 * value) / max) : 0}%`;
  track.append(filled);
  if (mark != null && max) {
    const reserve = element("i", { title: `Reserve: ${count(mark)}` });
    reserve.style.left = `${(100 * mark) / max}%`;
    track.append(reserve);
  }
  return track;
}

function replace(id, ...children) {
  const panel = byId(id);
  const key = children.map((child) => child.outerHTML).join("");
  if (panel.dataset.shown !== key) {
    panel.replaceChildren(...children);
    panel.dataset.shown = key;
  }
}

export function showBudget(budgets, now) {
  // It is one budget of the bot, and the supervisor that looked last has the lowest number.
  const [budget] = [...budgets].sort((a, b) => a.remaining - b.remaining);
  if (!budget) return replace("gw-budget", element("p", { class: "gw-small" }, "Not known: no gateway answers."));
  replace(
    "gw-budget",
    bar(budget.remaining, budget.total, "IDENTIFYs left", budget.reserve),
    pairs([
      ["Left today", `${count(budget.remaining)} of ${count(budget.total)}`],
      ["Reserve", count(budget.reserve)],
      ["Restart of everything", budget.can_restart_all ? "can be paid" : "cannot be paid"],
      ["Breaker", budget.breaker === "open" ? "open: IDENTIFYs are slowed" : budget.breaker],
      ["Waiting", budget.held ? `${count(budget.waiting)}, ${count(budget.held)} held` : count(budget.waiting)],
      ["Counts anew", budget.reset_at ? `in ${age(budget.reset_at - now)}` : "–"],
    ]),
  );
}

export function showLedger(rows) {
  const total = (name) => rows.reduce((all, row) => all + row[name], 0);
  const wrong = rows.filter((row) => !row.is_balanced).map((row) => row.shard_id);
  const verdict = element("span", { class: "gw-badge", "data-tone": wrong.length ? "bad" : "good" }, wrong.length ? `does not add up: shard ${wrong.join(", ")}` : "adds up");
  replace(
    "gw-ledger",
    pairs([
      ["Every session", rows.length ? verdict : "–"],
      ["Received", count(total("received"))],
      ["Published", count(total("published"))],
      ["Replayed", `${count(total("replayed"))}, ${count(total("duplicates"))} dropped as duplicates`],
      ["Gaps", count(total("gaps"))],
    ]),
  );
}

export function showRolls(rolls) {
  const waiting = new Set(rolls.filter((roll) => roll.state === "rolling").flatMap((roll) => roll.then));
  // Where a roll halted, the hosts after it did not begin: what they tell is of a roll before.
  const isOld = ({ host, began_at }) => rolls.some((other) => other.state === "halted" && other.then.includes(host) && other.began_at > began_at);
  const begun = rolls.filter((roll) => waiting.has(roll.host) || (roll.state !== "idle" && !isOld(roll)));
  const panel = byId("gw-roll");
  panel.hidden = begun.length === 0;
  if (panel.hidden) return;
  const lines = begun.map((roll) => {
    if (waiting.has(roll.host)) return waitingLine(roll);
    const words = `${roll.processes_done} of ${plural(roll.processes, "process", "processes")}`;
    const tone = { rolling: "busy", done: "good", halted: "bad" }[roll.state];
    return element(
      "div",
      { class: "gw-roll-line" },
      element("b", {}, shortName(roll.host)),
      element("span", { class: "gw-badge", "data-tone": tone }, roll.state),
      bar(roll.processes_done, roll.processes, `Rolling restart of ${roll.host}`),
      element("span", { class: "gw-small" }, `${words}; identifies used: ${roll.identifies_used}, dispatches lost: ${roll.dispatches_lost}`),
      roll.reason ? element("span", { class: "gw-reason" }, [roll.reason, ...roll.then.map((host) => `${shortName(host)} stays as it is`)].join("; ")) : null,
    );
  });
  replace("gw-roll", element("h2", {}, "Rolling restart"), ...lines);
}

const shortName = (host) => host.replace(/^gateway@/, "");

/** A host whose turn comes; what its roll of before told is old. */
const waitingLine = ({ host }) =>
  element("div", { class: "gw-roll-line" }, element("b", {}, shortName(host)), element("span", { class: "gw-badge" }, "waiting"));
