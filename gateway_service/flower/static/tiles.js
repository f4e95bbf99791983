// The summary: what is up, what flows, what waits.

import { byId, element, setText } from "./dom.js";
import { count, plural, rate } from "./format.js";
import { toneOf } from "./health.js";

const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0);

export class Tiles {
  constructor() {
    this.tiles = new Map();
  }

  show(rows, budgets) {
    const live = rows.filter((row) => toneOf(row) === "good").length;
    const down = rows.length - live;
    const lag = sum(rows, (row) => row.lag);
    const spooled = sum(rows, (row) => row.spool_rows);
    const hosts = new Set(rows.filter((row) => !row.is_stale).map((row) => row.host)).size;
    this.tile("Live", `${count(live)}`, `of ${plural(rows.length, "shard")}`, live && !down ? "good" : "");
    this.tile("Not live", count(down), down ? "see the table" : "none", down ? "bad" : "");
    this.tile("Events/s", rate(sum(rows, (row) => (row.is_stale ? 0 : row.rate))), `on ${plural(hosts, "host")}`);
    this.tile("Guilds", count(sum(rows, (row) => row.guilds)), "of live sessions");
    this.tile("Lag", count(lag), spooled ? `${count(spooled)} on disk` : "received, not confirmed", lag > 10000 ? "busy" : "");
    const [budget] = budgets;
    const isLow = budget && budget.remaining <= budget.reserve;
    this.tile("Identifies left", budget ? count(budget.remaining) : "–", budget ? `of ${count(budget.total)} a day` : "unknown", isLow ? "bad" : "");
  }

  tile(title, value, note, tone = "") {
    let tile = this.tiles.get(title);
    if (!tile) {
      tile = element("article", { class: "gw-tile" }, element("h2", {}, title), element("p", { class: "gw-value" }), element("p", { class: "gw-small" }));
      this.tiles.set(title, tile);
      byId("gw-tiles").append(tile);
    }
    setText(tile.children[1], value);
    setText(tile.children[2], note);
    tile.dataset.tone = tone;
  }
}
