// Reads objects as JSON lines, and prints a line for each that its custom resource definition does not allow.
import { readFileSync } from "node:fs";

const MODELS = {
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

for (const line of readFileSync(0, "utf8").split("\n")) {
  const object = JSON.parse(line);
  const folder = MODELS[object.apiVersion.split("/")[0]];
  const models = await import(`${process.env.NODE_PATH}/${folder}/${object.apiVersion}/index.js`);
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}
