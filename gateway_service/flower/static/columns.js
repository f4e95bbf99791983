// The columns of the table: how each is filled, compared and called.

import { element, setText } from "./dom.js";
import { age, count, latency, rate } from "./format.js";
import { rungTone, stateOf, toneOf } from "./health.js";
import { drawSparkline, makeSparkline } from "./sparkline.js";

const text = (of) => (cell, row, now) => setText(cell, of(row, now));

function badge(cell, word, tone, title) {
  const mark = cell.firstElementChild ?? cell.appendChild(element("span", { class: "gw-badge" }));
  setText(mark, word);
  mark.dataset.tone = tone;
  mark.title = title ?? "";
}

function fillRate(cell, row) {
  if (!cell.firstElementChild) cell.append(makeSparkline(), element("span"));
  const [spark, number] = cell.children;
  setText(number, rate(row.rate));
  drawSparkline(spark, row.rates);
}

/** Each: key, title, fill(cell, row, now), by(row, now) for sorting, and whether it is a number. */
export const COLUMNS = [
  { key: "shard", title: "Shard", by: (row) => row.shard_id, fill: text((row) => String(row.shard_id)), number: true },
  { key: "state", title: "State", by: stateOf, fill: (cell, row) => badge(cell, stateOf(row), toneOf(row), row.reason) },
  { key: "host", title: "Host", by: (row) => row.host, fill: text((row) => row.host.replace(/^gateway@/, "")) },
  { key: "process", title: "Process", by: (row) => row.process, fill: text((row) => String(row.process)), number: true },
  { key: "latency", title: "Latency", by: (row) => row.latency_s ?? -1, fill: text((row) => latency(row.latency_s)), number: true },
  { key: "guilds", title: "Guilds", by: (row) => row.guilds, fill: text((row) => count(row.guilds)), number: true },
  { key: "rate", title: "Events/s", by: (row) => row.rate, fill: fillRate, number: true },
  { key: "lag", title: "Lag", by: (row) => row.lag, fill: text((row) => count(row.lag)), number: true, about: "Received and not yet confirmed by the broker" },
  { key: "rung", title: "Rung", by: (row) => row.rung, fill: (cell, row) => badge(cell, row.rung, rungTone(row.rung)), about: "Where dispatches are while the broker does not take them" },
  { key: "restarts", title: "Restarts", by: (row) => row.restarts, fill: text((row) => count(row.restarts)), number: true, about: "How often the process ended without being asked to" },
  { key: "session", title: "Session", by: (row, now) => (row.session_since ? now - row.session_since : -1), fill: text((row, now) => (row.session_since ? age(now - row.session_since) : "–")), number: true, about: "Age of the session" },
];
