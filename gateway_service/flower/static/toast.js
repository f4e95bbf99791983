// Messages that come and go; errors stay until they are closed.

import { byId, element } from "./dom.js";

const STAYS_MS = 5000;

export function toast(message, tone = "good") {
  const close = element("button", { type: "button", "aria-label": "Close" }, "×");
  const shown = element("div", { class: "gw-toast", "data-tone": tone, role: tone === "bad" ? "alert" : "status" }, element("span", {}, message), close);
  close.addEventListener("click", () => shown.remove());
  byId("gw-toasts").append(shown);
  if (tone !== "bad") setTimeout(() => shown.remove(), STAYS_MS);
}
