"use strict";
// Sorting and filtering of the table, figures to take away, and the two charts. Without it the page shows all but these.
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
  const whole = document.querySelector("#whole");
  const fold = () => table.classList.toggle("brief", !whole.checked);
  whole.addEventListener("change", fold);
  fold();

  const filters = [...document.querySelectorAll("select[data-filter]")];
  const filter = () => {
    for (const row of rows) {
      row.hidden = filters.some((each) => each.value && row.dataset[each.dataset.filter] !== each.value);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.querySelector("#count").textContent = `${shown} of ${rows.length} rows`;
  };
  // The address holds what is chosen, so that a view can be sent: index.html#task=copy&cell=lstm
  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const each of filters) each.value = asked.get(each.dataset.filter) ?? "";
  const note = () => {
    const chosen = filters.filter((each) => each.value).map((each) => [each.dataset.filter, each.value]);
    history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
  };
  for (const each of filters) each.addEventListener("change", () => (filter(), note()));
  document.querySelector("#filters").hidden = false;
  filter();

  // Every figure as a file of its own, in the colours that it has now.
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  for (const figure of document.querySelectorAll("figure[data-name]")) {
    const link = document.createElement("a");
    link.textContent = "SVG";
    link.className = "take";
    link.href = "#";
    link.download = `${figure.dataset.name}.svg`;
    const text = () => {
      const copy = figure.querySelector("svg").cloneNode(true);
      copy.style.color = variable("--ink");
      return new XMLSerializer().serializeToString(copy).replace(/var\((--[\w-]+)\)/g, (_, name) => variable(name));
    };
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([text()], { type: "image/svg+xml" }));
    });
    figure.querySelector("figcaption").append(" ", link);
  }

  // What is folded is printed only where a reader asks for it.
  const appendix = document.querySelector("#appendix");
  let opened = [];
  addEventListener("beforeprint", () => {
    document.body.classList.toggle("with-appendix", appendix.checked);
    opened = appendix.checked ? [...document.querySelectorAll("details:not([open])")] : [];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });

  const { pairs, charts } = JSON.parse(document.querySelector("#explored").textContent);
  const section = document.querySelector("#explore");
  const [task, cell] = ["#task", "#cell"].map((name) => document.querySelector(name));
  const style = variable;
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
