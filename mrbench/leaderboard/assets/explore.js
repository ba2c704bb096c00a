"use strict";
// The list of queries with its filters. All that is chosen stands in the address.
(async () => {
  const { el, load, state, select, query } = mrbench;
  const box = document.getElementById("explore");
  if (!box) return;
  const PAGE = 25;
  const boards = (await load("site")).filter((board) => board.tasks.some((task) => task.explored));
  const tools = el("div", { class: "tools" });
  const list = el("div", { class: "list" });
  const detail = el("div", { class: "query", "aria-live": "polite" });
  box.append(tools, el("div", { class: "explorer" }, list, detail));
  let turn = 0; // the newest request wins
  let ids = new Map(); // the row of each query id
  addEventListener("hashchange", () => show());
  await show();

  function change(changes) {
    state.set(changes);
    return show();
  }

  async function show(focus) {
    const mine = ++turn;
    const board = boards.find((one) => one.key === state.get("b")) ?? boards[0];
    const tasks = board.tasks.map((task, number) => ({ ...task, number })).filter((task) => task.explored);
    const task = tasks.find((one) => String(one.number) === state.get("t")) ?? tasks[0];
    const place = `${board.key}/t${task.number}`;
    try {
      const index = await load(`${place}/index`);
      const chosen = pickModels(board, index);
      const models = await Promise.all(
        chosen.map(async (row) => ({ row, label: board.models[row].label, found: await load(`${place}/m${row}`) })),
      );
      if (mine !== turn) return;
      const k = Number(state.get("k")) || index.k;
      drawTools(board, tasks, task, index, chosen, k, focus);
      const rows = chooseRows(index, models, k);
      drawList(rows, index, models, k);
      await drawQuery(place, index, models, rows);
    } catch (error) {
      detail.replaceChildren(el("p", { class: "warning" }, error.message));
    }
  }

  // Unless others are chosen: the first two models of the board, controls last.
  function pickModels(board, index) {
    const has = (name) => index.models.find((row) => String(row) === state.get(name));
    const order = [...index.models].sort((a, b) => board.models[a].control - board.models[b].control || a - b);
    const first = has("m") ?? order[0];
    if (first === undefined) return [];
    const second = state.get("n") === "none" ? undefined : (has("n") ?? order.find((row) => row !== first));
    return second === undefined || second === first ? [first] : [first, second];
  }

  function drawTools(board, tasks, task, index, chosen, k, focus) {
    const names = index.models.map((row) => [row, board.models[row].label]);
    const wanted = focus ?? document.activeElement?.closest?.("[data-tool]")?.dataset.tool;
    const made = [];
    const add = (name, label, options, value, changes) => {
      const one = select(label, options, value, (picked) => change({ ...changes, [name]: picked, p: null, q: null }));
      one.lastChild.dataset.tool = name;
      made.push(one);
    };
    add("b", "Benchmark", boards.map((one) => [one.key, `${one.title} (${one.about})`]), board.key, { t: null, m: null, n: null, g: null });
    add("t", "Task", tasks.map((one) => [one.number, one.title]), task.number, { m: null, n: null, g: null });
    if (names.length) {
      add("m", "Model A", names, chosen[0], {});
      add("n", "Model B", [["none", "none"], ...names], chosen[1] ?? "none", {});
      add("k", "Right means in the first", [1, 5, 10].map((n) => [n, String(n)]), k, {});
    }
    if (index.types.length) add("g", "Asks for", [["", "any grain"], ...index.types.map((name, kind) => [kind, name])], state.get("g") ?? "", {});
    if (names.length) {
      const filters = [["", "all queries"], ["wrong", "A wrong"], ["lost", "A's first result loses the grain"]];
      if (chosen.length > 1) filters.push(["ab", "A right, B wrong"], ["ba", "B right, A wrong"], ["both", "both wrong"]);
      add("f", "Show", filters, state.get("f") ?? "", {});
      add("o", "Order", [["", "as in the data"], ["margin", "worst margin of A first"]], state.get("o") ?? "", {});
    }
    const search = el("input", { type: "search", size: 14, value: state.get("s") ?? "", on: { change: () => change({ s: search.value, p: null, q: null }) } });
    search.dataset.tool = "s";
    made.push(el("label", {}, "Text or id", search));
    tools.replaceChildren(...made);
    if (wanted) tools.querySelector(`[data-tool="${CSS.escape(wanted)}"]`)?.focus();
  }

  function chooseRows(index, models, k) {
    const [a, b] = models.map((model) => model.found);
    const right = (found, row) => found.rank[row] !== null && found.rank[row] <= k;
    const kind = state.get("g");
    const asks = kind ? index.asks[kind] : null;
    const text = (state.get("s") ?? "").toLowerCase();
    const anyLost = (row) => (kind ? a.lost[kind]?.[row] === "1" : Object.values(a.lost).some((flags) => flags[row] === "1"));
    const tests = {
      wrong: (row) => !right(a, row),
      lost: anyLost,
      ab: (row) => b && right(a, row) && !right(b, row),
      ba: (row) => b && right(b, row) && !right(a, row),
      both: (row) => b && !right(a, row) && !right(b, row),
    };
    const test = a ? tests[state.get("f")] : null;
    const rows = [];
    for (let row = 0; row < index.ids.length; row++) {
      if (asks && asks[row] !== "1") continue;
      if (test && !test(row)) continue;
      if (text && !index.texts[row].toLowerCase().includes(text) && !index.ids[row].toLowerCase().includes(text)) continue;
      rows.push(row);
    }
    if (a && state.get("o") === "margin") {
      const value = (row) => a.margin[row] ?? Infinity;
      rows.sort((one, other) => value(one) - value(other) || one - other);
    }
    return rows;
  }

  function stands(model, row, k) {
    const rank = model.found.rank[row];
    return rank === null ? "no answer found" : `answer at ${rank}${rank <= k ? ", right" : ""}`;
  }

  function drawList(rows, index, models, k) {
    const current = currentRow(rows);
    const at = rows.indexOf(current);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    const given = state.get("p");
    const page = Math.min(pages - 1, Math.max(0, given === null ? Math.floor(Math.max(0, at) / PAGE) : Number(given) || 0));
    const items = rows.slice(page * PAGE, (page + 1) * PAGE).map((row) =>
      el(
        "li",
        {},
        el(
          "button",
          { type: "button", class: "pick", "aria-current": row === current ? "true" : null, on: { click: () => pick(index, row, page) } },
          el("bdi", {}, index.texts[row] || index.ids[row]),
          models.map((model, place) => el("small", {}, `${"AB"[place]}: ${stands(model, row, k)}`)),
        ),
      ),
    );
    const button = (label, to) =>
      el("button", { type: "button", disabled: to < 0 || to >= pages, on: { click: () => change({ p: to }).then(() => list.querySelector(".pager button:not(:disabled)")?.focus()) } }, label);
    list.replaceChildren(
      el("div", { class: "pager" }, button("Back", page - 1), button("Next", page + 1), el("span", { role: "status" }, `${rows.length.toLocaleString("en")} queries, page ${page + 1} of ${pages}`)),
      items.length ? el("ol", {}, items) : el("p", { class: "nothing" }, "No query is like that."),
    );
  }

  async function pick(index, row, page) {
    await change({ q: index.ids[row], p: page });
    list.querySelector("[aria-current]")?.focus();
  }

  function currentRow(rows) {
    const wanted = ids.get(state.get("q"));
    return wanted !== undefined && rows.includes(wanted) ? wanted : rows[(Number(state.get("p")) || 0) * PAGE] ?? rows[0];
  }

  async function drawQuery(place, index, models, rows) {
    if (ids.of !== index) {
      ids = new Map(index.ids.map((id, row) => [id, row]));
      ids.of = index;
      if (state.get("q")) drawList(rows, index, models, Number(state.get("k")) || index.k);
    }
    const row = currentRow(rows);
    if (row === undefined) return detail.replaceChildren();
    const k = Number(state.get("k")) || index.k;
    const named = models.map((model) => {
      const margin = model.found.margin[row];
      return { ...model, says: stands(model, row, k) + (margin === null ? "" : `; margin ${margin.toFixed(3)}`) };
    });
    return query.draw(detail, place, index, row, named);
  }
})();
