"use strict";
// Sorting and filtering of the table, and the two charts. Without this script the page shows everything but the charts.
(() => {
  const table = document.querySelector("#horizons");
  const rows = [...table.tBodies[0].rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
  };
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const column = head.cellIndex;
      const order = (a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return typeof x === "number" ? x - y : x.localeCompare(y);
      };
      rows.sort((a, b) => (falling ? -order(a, b) : order(a, b)));
      table.tBodies[0].append(...rows);
    });
  }
  const filters = [...document.querySelectorAll("select[data-filter]")];
  const filter = () => {
    for (const row of rows) {
      row.hidden = filters.some((each) => each.value && row.dataset[each.dataset.filter] !== each.value);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.querySelector("#count").textContent = `${shown} of ${rows.length} rows`;
  };
  for (const each of filters) each.addEventListener("change", filter);
  document.querySelector("#filters").hidden = false;
  filter();

  // What is folded is printed, too.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });

  const { pairs, charts } = JSON.parse(document.querySelector("#explored").textContent);
  const section = document.querySelector("#explore");
  const [task, cell] = ["#task", "#cell"].map((name) => document.querySelector(name));
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const look = () => ({
    background: null,
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: {
      labelColor: style("--ink"), titleColor: style("--ink"), gridColor: style("--line"), domainColor: style("--line"),
      tickColor: style("--line"), labelFontSize: 12, titleFontSize: 13, titleFontWeight: 500,
    },
    legend: { labelColor: style("--ink"), titleColor: style("--ink"), labelFontSize: 12, titleFontSize: 12, orient: "top" },
    range: { category: ["--blue", "--vermillion", "--green", "--purple", "--orange", "--sky"].map(style) },
    mark: { tooltip: true },
  });
  const all = (chosen, name) => chosen.flatMap((pair) => pair[name].map((each) => ({ ...each, cell: pair.cell })));
  const draw = (place, spec, words, datasets) =>
    vegaEmbed(place, { ...structuredClone(spec), datasets, description: words }, { actions: false, renderer: "svg", config: look() });
  const show = async () => {
    const same = pairs.filter((pair) => pair.task === task.value);
    const one = same.filter((pair) => pair.cell === cell.value);
    const told = `${cell.value} on ${task.selectedOptions[0].text}`;
    document.querySelector("#told").textContent = told;
    const names = [`Share of replicas that solve, against length, on ${task.selectedOptions[0].text}`, `Gradient through time, ${told}`];
    await draw("#shares", charts.shares, names[0], { curves: all(same, "curves"), points: all(same, "points") });
    await draw("#gradients", charts.gradients, names[1], { lines: all(one, "lines") });
    section.dataset.ready = "true";
  };
  section.hidden = false;
  for (const each of [task, cell]) each.addEventListener("change", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
})();
