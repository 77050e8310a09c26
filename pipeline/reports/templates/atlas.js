"use strict";
// Filters of the picture and of what stands below it. Without it the page shows everything.
(() => {
  const filters = [...document.querySelectorAll("select[data-filter]")];
  const parts = [...document.querySelectorAll("main [data-width], main [data-task], main [data-cell], main [data-family]")];
  const articles = parts.filter((each) => each.tagName === "ARTICLE");
  const filter = () => {
    for (const part of parts) {
      part.hidden = filters.some((each) => each.value && part.dataset[each.dataset.filter] !== undefined && part.dataset[each.dataset.filter] !== each.value);
    }
    for (const heading of document.querySelectorAll("tbody:has(> .family)")) {
      const chosen = filters.find((each) => each.dataset.filter === "cell").value;
      let next = heading.nextElementSibling, any = false;
      for (; next && next.dataset.cell !== undefined; next = next.nextElementSibling) any ||= !next.hidden;
      heading.hidden = heading.hidden || (chosen !== "" && !any);
    }
    const shown = articles.filter((each) => !each.hidden).length;
    document.querySelector("#count").textContent = `${shown} of ${articles.length} horizons`;
  };
  // The address holds what is chosen, so that a view can be sent: index.html#task=copy&family=linear
  const read = () => {
    const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    for (const each of filters) each.value = asked.get(each.dataset.filter) ?? "";
    for (const each of filters) if (each.selectedIndex < 0) each.value = "";
    filter();
  };
  const note = () => {
    const chosen = filters.filter((each) => each.value).map((each) => [each.dataset.filter, each.value]);
    history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
  };
  for (const each of filters) each.addEventListener("change", () => (filter(), note()));
  addEventListener("hashchange", () => location.hash.includes("=") && read());
  document.querySelector("#filters").hidden = false;
  if (location.hash.includes("=")) read();
  else filter();
})();
