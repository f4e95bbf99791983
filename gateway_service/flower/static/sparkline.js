// The last rates of a shard as a line.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 72;
const HEIGHT = 20;

export function makeSparkline() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "gw-spark");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["gw-spark-area", "gw-spark-line"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

export function drawSparkline(svg, rates) {
  const [area, line] = svg.children;
  if (rates.length < 2) {
    const flat = `M0 ${HEIGHT - 1}H${WIDTH}`;
    line.setAttribute("d", flat);
    area.setAttribute("d", "");
    return;
  }
  const top = Math.max(1, ...rates);
  const step = WIDTH / (rates.length - 1);
  const points = rates.map((value, i) => `${(i * step).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
  line.setAttribute("d", `M${points.join("L")}`);
  area.setAttribute("d", `M0 ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z`);
}
