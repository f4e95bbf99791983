// The table: rows kept by shard, sorted and filtered in place, several of them selected.

import { COLUMNS } from "./columns.js";
import { byId, element, setOptions } from "./dom.js";
import { plural } from "./format.js";
import { stateOf, toneOf } from "./health.js";

export class ShardTable {
  constructor(onSelect) {
    this.rows = new Map();
    this.lines = new Map();
    this.selected = new Set();
    this.sort = { column: COLUMNS[0], descending: false };
    this.now = 0;
    this.onSelect = onSelect;
    this.body = byId("gw-rows");
    this.makeHead();
    for (const id of ["gw-search", "gw-state", "gw-host"]) byId(id).addEventListener("input", () => this.arrange());
    byId("gw-order").addEventListener("input", (event) => this.sortBy(COLUMNS.find((c) => c.key === event.target.value)));
    byId("gw-direction").addEventListener("click", () => this.sortBy(this.sort.column));
    this.body.addEventListener("click", (event) => this.clicked(event));
  }

  makeHead() {
    const all = element("input", { type: "checkbox", "aria-label": "Select every shard shown" });
    this.alls = [all, byId("gw-all")];  // a phone shows no head, but that of the bar
    for (const each of this.alls) each.addEventListener("change", () => this.selectShown(each.checked));
    const heads = COLUMNS.map((column) => {
      const button = element("button", { type: "button", title: column.about }, column.title);
      button.addEventListener("click", () => this.sortBy(column));
      column.head = element("th", { scope: "col", "data-key": column.key, class: column.number ? "gw-number" : null }, button);
      return column.head;
    });
    byId("gw-columns").append(element("th", { class: "gw-pick" }, all), ...heads);
    setOptions(byId("gw-order"), COLUMNS.map((column) => [column.key, `Order: ${column.title}`]));
    this.showSort();
  }

  sortBy(column) {
    const descending = this.sort.column === column ? !this.sort.descending : column.number === true && column.key !== "shard";
    this.sort = { column, descending };
    this.showSort();
    this.arrange();
  }

  showSort() {
    for (const column of COLUMNS) column.head.removeAttribute("aria-sort");
    this.sort.column.head.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
    byId("gw-order").value = this.sort.column.key;
    byId("gw-direction").textContent = this.sort.descending ? "↓ Descending" : "↑ Ascending";
  }

  update(news) {
    this.now = news.now;
    const known = new Set(news.shard_ids);
    for (const shardId of [...this.rows.keys()].filter((each) => !known.has(each))) this.forget(shardId);
    for (const row of news.rows) {
      this.rows.set(row.shard_id, row);
      this.fill(row);
    }
    this.arrange();
  }

  forget(shardId) {
    this.lines.get(shardId).remove();
    this.lines.delete(shardId);
    this.rows.delete(shardId);
    if (this.selected.delete(shardId)) this.onSelect();
  }

  fill(row) {
    const line = this.lines.get(row.shard_id) ?? this.makeLine(row.shard_id);
    COLUMNS.forEach((column, index) => column.fill(line.cells[index + 1], row, this.now));
    line.dataset.tone = toneOf(row);
    line.title = row.is_stale ? "Its supervisor is silent: these are the last values heard" : "";
  }

  makeLine(shardId) {
    const box = element("input", { type: "checkbox", "aria-label": `Select shard ${shardId}` });
    const cells = COLUMNS.map((column) =>
      element("td", { "data-key": column.key, "data-label": column.title, class: column.number ? "gw-number" : null }),
    );
    const line = element("tr", { "data-shard": shardId }, element("td", { class: "gw-pick" }, box), ...cells);
    this.lines.set(shardId, line);
    return line;
  }

  arrange() {
    setOptions(byId("gw-state"), [["", "Every state"], ...unique([...this.rows.values()].map(stateOf)).map((s) => [s, s])]);
    setOptions(byId("gw-host"), [["", "Every host"], ...unique([...this.rows.values()].map((r) => r.host)).map((h) => [h, h.replace(/^gateway@/, "")])]);
    const { by } = this.sort.column;
    const sign = this.sort.descending ? -1 : 1;
    const rows = [...this.rows.values()].sort((a, b) => sign * compare(by(a, this.now), by(b, this.now)) || a.shard_id - b.shard_id);
    this.shown = rows.filter((row) => this.matches(row));
    const shown = new Set(this.shown.map((row) => row.shard_id));
    const wanted = this.shown.map((row) => this.lines.get(row.shard_id));
    const current = this.body.children;
    if (wanted.length !== current.length || wanted.some((line, index) => line !== current[index])) {
      const focused = document.activeElement;
      this.body.replaceChildren(...wanted);
      if (this.body.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.showCount(shown);
  }

  matches(row) {
    const state = byId("gw-state").value;
    const host = byId("gw-host").value;
    const words = byId("gw-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const haystack = `${row.host} ${stateOf(row)} ${row.rung} ${row.reason ?? ""}`.toLowerCase();
    return (
      (!state || stateOf(row) === state) &&
      (!host || row.host === host) &&
      words.every((word) => (/^\d+$/.test(word) ? String(row.shard_id) === word : haystack.includes(word)))
    );
  }

  clicked(event) {
    const line = event.target.closest("tr");
    if (!line) return;
    const shardId = Number(line.dataset.shard);
    const isChosen = !this.selected.has(shardId);
    const ids = this.shown.map((row) => row.shard_id);
    const [from, to] = [ids.indexOf(this.last ?? shardId), ids.indexOf(shardId)].sort((a, b) => a - b);
    // As in file lists: with Shift, everything between the last one and this one.
    for (const each of event.shiftKey && from >= 0 ? ids.slice(from, to + 1) : [shardId]) this.choose(each, isChosen);
    this.last = shardId;
    this.changedSelection();
  }

  selectShown(isChosen) {
    for (const row of this.shown) this.choose(row.shard_id, isChosen);
    this.changedSelection();
  }

  choose(shardId, isChosen) {
    if (isChosen) this.selected.add(shardId);
    else this.selected.delete(shardId);
    const line = this.lines.get(shardId);
    line.querySelector("input").checked = isChosen;
    line.classList.toggle("gw-chosen", isChosen);
  }

  changedSelection() {
    this.showCount(new Set(this.shown.map((row) => row.shard_id)));
    this.onSelect();
  }

  showCount(shown) {
    const chosen = this.selected.size;
    const chosenShown = [...this.selected].filter((shardId) => shown.has(shardId)).length;
    for (const all of this.alls) {
      all.checked = chosenShown > 0 && chosenShown === shown.size;
      all.indeterminate = chosenShown > 0 && chosenShown < shown.size;
    }
    const text = shown.size === this.rows.size ? plural(shown.size, "shard") : `${shown.size} of ${plural(this.rows.size, "shard")}`;
    byId("gw-count").textContent = chosen ? `${text}, ${chosen} selected` : text;
    this.showEmpty(shown.size);
  }

  showEmpty(number) {
    const empty = byId("gw-empty");
    empty.hidden = number > 0 || this.now === 0;
    if (empty.hidden) return;
    if (this.rows.size) empty.replaceChildren(element("p", {}, "No shard matches this filter."));
    else
      empty.replaceChildren(
        element("p", {}, "No gateway answers on this broker."),
        element("p", {}, "Start one with ", element("code", {}, "gateway-service start"), "; it appears here by itself."),
      );
  }
}

const unique = (values) => [...new Set(values)].sort();

const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
