"use strict";
// Makes the head cells of table[data-sortable] into buttons that sort. Each group of rows (tbody) is sorted by itself;
// a cell without data-value has no score and stays last, whichever way the others go.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(head.firstChild);
    head.prepend(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((cell) => cell.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      for (const body of table.tBodies) sort(body, column, order === "ascending" ? 1 : -1);
    });
  });
}

function sort(body, column, sign) {
  const rows = [...body.rows].filter((row) => row.cells.length > column);
  const value = (row) => row.cells[column].dataset.value;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
  };
  body.append(...rows.sort(compare));
}
