// What the page asks the supervisors to do.

import { byId } from "./dom.js";
import { count, plural } from "./format.js";
import { toast } from "./toast.js";

const MAX_TOLD = 3;

const cookie = (name) => document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

/** Post one action; say what came of it. Returns the answer. */
export async function act(base, action, asked, done) {
  let answer;
  try {
    const response = await fetch(`${base}/${action}`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-XSRFToken": cookie("_xsrf") },
      body: JSON.stringify(asked),
    });
    answer = await answerOf(response);
  } catch {
    answer = refused("Flower does not answer.");
  }
  const failures = [...new Set(answer.failures.map((failure) => failure.message))];
  for (const message of failures.slice(0, MAX_TOLD)) toast(message, "bad");
  if (failures.length > MAX_TOLD) toast(`…and ${failures.length - MAX_TOLD} more failures.`, "bad");
  if (!failures.length) toast(done);
  return answer;
}

const refused = (message) => ({ failures: [{ message }] });

async function answerOf(response) {
  const body = await response.text();
  try {
    return JSON.parse(body);
  } catch {
    const isText = (response.headers.get("Content-Type") ?? "").startsWith("text/plain");
    return refused(isText && body ? body : `Flower refused: HTTP ${response.status}.`);
  }
}

/** Ask before what costs something. */
export function confirmed(title, text, yes) {
  const dialog = byId("gw-confirm");
  byId("gw-confirm-title").textContent = title;
  byId("gw-confirm-text").textContent = text;
  byId("gw-confirm-yes").textContent = yes;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** Ask before sessions end, wherever on the page that was asked for. */
export function confirmedIdentify(shards) {
  const text = `${plural(shards, "session")} will end, and ${count(shards)} of today's IDENTIFYs will be spent.`;
  return confirmed("Identify anew?", text, "Identify anew");
}
