// The presence form and what members will see.

import { byId } from "./dom.js";

const CUSTOM = 4;
const VERBS = { 0: "Playing ", 2: "Listening to ", 3: "Watching ", 5: "Competing in ", 4: "" };

export class PresenceForm {
  constructor(onSet, onClear) {
    this.form = byId("gw-presence");
    this.form.addEventListener("input", () => this.preview());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSet(this.presence());
    });
    byId("gw-presence-clear").addEventListener("click", onClear);
    this.preview();
  }

  get isForSelected() {
    return this.form.elements.for.value === "selected";
  }

  /** Discord's presence object. */
  presence() {
    const { status, type, text } = this.form.elements;
    const words = text.value.trim();
    const kind = Number(type.value);
    const activity = kind === CUSTOM ? { name: "Custom Status", type: kind, state: words } : { name: words, type: kind };
    return { status: status.value, activities: words ? [activity] : [], afk: false, since: null };
  }

  preview() {
    const { status, type, text } = this.form.elements;
    const words = text.value.trim();
    byId("gw-preview-dot").dataset.status = status.value;
    byId("gw-preview-text").textContent = words ? VERBS[type.value] + words : status.selectedOptions[0].textContent;
  }

  /** Nothing may be set from here. */
  disable() {
    for (const control of this.form.elements) control.disabled = true;
  }

  selectionChanged(number) {
    byId("gw-for-selected").disabled = number === 0;
    byId("gw-for-count").textContent = number ? `the ${number} selected` : "the selected shards";
    if (!number && this.isForSelected) this.form.elements.for.value = "all";
  }
}
