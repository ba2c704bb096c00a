"use strict";
// Sorting, filtering and hiding columns of table[data-table]; what is chosen stands in the address.
(() => {
  const { el, state } = mrbench;
  for (const table of document.querySelectorAll("table[data-table]")) setUp(table);

  function setUp(table) {
    const key = table.dataset.table;
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.querySelectorAll("tbody tr[data-row]")];
    heads.forEach((head, column) => {
      if (head.dataset.plain !== undefined) return;
      const button = el("button", { type: "button", on: { click: () => turn(column) } });
      button.append(head.firstChild);
      head.prepend(button);
    });
    const filter = el("input", { type: "search", size: 16, on: { input: filterRows } });
    const boxes = heads.map((head, column) => {
      const box = el("input", { type: "checkbox", on: { change: hideChosen } });
      box.checked = true;
      return column ? el("label", {}, box, head.textContent.trim()) : null;
    });
    const picker = el("details", {}, el("summary", {}, "Columns"), el("fieldset", {}, el("legend", { class: "unseen" }, "Columns to show"), boxes));
    table.closest(".scroll").before(el("div", { class: "tools" }, el("label", {}, "Filter models", filter), heads.length > 3 ? picker : null));

    const saved = { q: state.get(`${key}.q`) || "", hide: state.get(`${key}.hide`) || "", sort: state.get(`${key}.sort`) || "" };
    filter.value = saved.q;
    for (const column of saved.hide.split(",").filter(Boolean)) if (boxes[column]) boxes[column].firstChild.checked = false;
    const sorted = /^(\d+)([ad])$/.exec(saved.sort);
    if (sorted && heads[sorted[1]]) order(Number(sorted[1]), sorted[2] === "a" ? "ascending" : "descending");
    show(saved.q);
    hide();

    function turn(column) {
      const first = heads[column].dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const way = heads[column].getAttribute("aria-sort") === first ? other : first;
      order(column, way);
      state.set({ [`${key}.sort`]: `${column}${way[0]}` });
    }

    function order(column, way) {
      heads.forEach((cell) => cell.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", way);
      for (const body of table.tBodies) sort(body, column, way === "ascending" ? 1 : -1);
    }

    function filterRows() {
      show(filter.value);
      state.set({ [`${key}.q`]: filter.value.trim() });
    }

    function show(q) {
      const wanted = q.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    }

    function hideChosen() {
      const chosen = boxes.flatMap((box, column) => (box && !box.firstChild.checked ? [column] : []));
      state.set({ [`${key}.hide`]: chosen.join(",") });
      hide();
    }

    function hide() {
      for (const row of table.rows) {
        if (row.classList.contains("group")) continue;
        boxes.forEach((box, column) => {
          if (box && row.cells[column]) row.cells[column].hidden = !box.firstChild.checked;
        });
      }
    }
  }

  // A cell without data-value has no score and stays last, whichever way the others go.
  function sort(body, column, sign) {
    const rows = [...body.rows].filter((row) => row.dataset.row !== undefined);
    const value = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
    };
    body.append(...rows.sort(compare));
  }
})();
