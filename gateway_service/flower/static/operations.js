// Every other operation: a form made from what the registry says of it, and its answer.

import { act, confirmed, confirmedIdentify } from "./actions.js";
import { byId, element, setOptions } from "./dom.js";

export class OperationForm {
  constructor(base) {
    this.base = base;
    this.form = byId("gw-operation");
    this.known = new Map(JSON.parse(this.form.dataset.operations).map((each) => [each.name, each]));
    const { operation } = this.form.elements;
    setOptions(operation, [...this.known.keys()].map((name) => [name, name.replaceAll("_", " ")]));
    operation.addEventListener("change", () => this.show());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.show();
  }

  get chosen() {
    return this.known.get(this.form.elements.operation.value);
  }

  show() {
    const { help, wants_host, arguments: wanted } = this.chosen;
    byId("gw-operation-help").textContent = help;
    byId("gw-operation-host").hidden = !wants_host;
    byId("gw-operation-arguments").replaceChildren(
      ...wanted.map((argument) => element("label", {}, argument.name, field(argument))),
    );
    byId("gw-operation-answer").hidden = true;
  }

  hostsChanged(hosts) {
    setOptions(this.form.elements.host, [...hosts].sort().map((host) => [host, host]));
  }

  async run() {
    const { name, kind, wants_host, help } = this.chosen;
    const host = wants_host ? this.form.elements.host.value : "";
    const inputs = [...this.form.elements].filter((input) => input.name.startsWith("argument:") && input.value.trim());
    const texts = Object.fromEntries(inputs.map((input) => [input.name.slice(9), input.value.trim()]));
    if (kind === "control" && wants_host && !(await confirmed(`${name} on ${host}?`, help, name))) return;
    if (texts.mode === "identify" && !(await confirmedIdentify(1))) return;
    const asked = { operation: name, host, arguments: texts };
    const shown = byId("gw-operation-answer");
    shown.hidden = true;
    const answer = await act(this.base, "operation", asked, `${name}: done.`);
    if (!answer.results || this.chosen.name !== name) return;
    shown.textContent = JSON.stringify(answer.results, null, 2);
    shown.hidden = false;
  }

  /** Nothing may be asked from here. */
  disable() {
    for (const control of this.form.elements) control.disabled = true;
  }
}

function field({ name, required, choices, default: usual }) {
  const named = { name: `argument:${name}` };
  if (!choices.length) return element("input", { ...named, required, placeholder: usual, autocomplete: "off" });
  return element("select", named, ...choices.map((choice) => element("option", { value: choice, selected: choice === usual }, choice)));
}
