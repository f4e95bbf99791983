// What a state means for an operator: a word and a tone; the tone is never the only sign.

/** One of good, busy, bad, silent. */
export function toneOf(row) {
  if (row.is_stale) return "silent";
  if (row.state === "live") return "good";
  return row.state.toLowerCase() === "fatal" || row.reason ? "bad" : "busy";
}

export const stateOf = (row) => (row.is_stale ? "silent" : row.state.toLowerCase().replaceAll("_", " "));

export const rungTone = (rung) => ({ confirming: "good", lagging: "busy", memory: "busy" })[rung] ?? "bad";
