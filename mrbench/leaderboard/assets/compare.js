"use strict";
// Compares two to four models of a board.
(async () => {
  const { el, load, state, select, wins, root } = mrbench;
  const box = document.getElementById("compare");
  const MOST = 4;
  const boards = await load("site");
  const tools = el("div", { class: "tools" });
  const shown = el("div", { "aria-live": "polite" });
  box.append(tools, shown);
  const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(3);
  const name = (board, row) => el("a", { href: `${root}models/${board.models[row].slug}.html` }, el("bdi", {}, board.models[row].label));
  let turn = 0;
  addEventListener("hashchange", () => show());
  await show();

  function pickModels(board) {
    const asked = (state.get("m") ?? "").split(",").filter((text) => /^\d+$/.test(text)).map(Number);
    const sound = [...new Set(asked)].filter((row) => row < board.models.length).slice(0, MOST);
    const rest = board.models.map((_, row) => row).filter((row) => !sound.includes(row));
    rest.sort((one, other) => board.models[one].control - board.models[other].control);  // controls if nothing else is there
    while (sound.length < 2 && rest.length) sound.push(rest.shift());
    return sound;
  }

  async function show() {
    const mine = ++turn;
    const board = boards.find((one) => one.key === state.get("b")) ?? boards[0];
    const models = pickModels(board);
    try {
      const data = await load(`${board.key}/compare`);
      if (mine !== turn) return;
      drawTools(board, models);
      const parts = [differences(board, models, data), grains(board, models, data), el("div", { id: "wins" })];
      shown.replaceChildren(...parts.filter(Boolean));
      await drawWins(board, models, shown.lastChild, () => mine === turn);
    } catch (error) {
      shown.replaceChildren(el("p", { class: "warning" }, error.message));
    }
  }

  function drawTools(board, models) {
    const focus = document.activeElement?.dataset?.tool;
    const made = [select("Benchmark", boards.map((one) => [one.key, `${one.title} (${one.about})`]), board.key, (key) => change({ b: key, m: null }))];
    made[0].lastChild.dataset.tool = "b";
    for (let place = 0; place < Math.min(MOST, board.models.length); place++) {
      const options = board.models.map((model, row) => [row, model.label + (model.control ? " (control)" : "")]);
      if (place > 1) options.unshift(["", "none"]);
      const one = select(`Model ${"ABCD"[place]}`, options, models[place] ?? "", (picked) => {
        const next = [...models];
        if (picked === "") next.splice(place, 1);
        else next[place] = Number(picked);
        change({ b: board.key, m: next.join(",") });
      });
      one.lastChild.dataset.tool = String(place);
      made.push(one);
    }
    tools.replaceChildren(...made);
    if (focus) tools.querySelector(`[data-tool="${CSS.escape(focus)}"]`)?.focus();
  }

  function change(changes) {
    state.set(changes);
    show();
  }

  // Where a pair of models stands in the list of all pairs.
  function pairAt(number, one, other) {
    return one * number - (one * (one + 1)) / 2 + other - one - 1;
  }

  function tests(models, data) {
    const found = [];
    data.tasks.forEach((task, number) => {
      for (let a = 0; a < models.length; a++) {
        for (let b = a + 1; b < models.length; b++) {
          const [x, y] = [task.models.indexOf(models[a]), task.models.indexOf(models[b])];
          if (x < 0 || y < 0 || !task.pairs.length) continue;
          const [difference, low, high, p] = task.pairs[pairAt(task.models.length, Math.min(x, y), Math.max(x, y))];
          const turned = x > y;
          found.push({ number, a: models[a], b: models[b], difference: turned ? -difference : difference, low: turned ? -high : low, high: turned ? -low : high, p });
        }
      }
    });
    // Holm: the smallest p is corrected for all tests, the next for one less, and so on.
    let highest = 0;
    [...found].sort((one, other) => one.p - other.p).forEach((test, rank) => {
      highest = Math.max(highest, Math.min(1, (found.length - rank) * test.p));
      test.holm = highest;
    });
    return found;
  }

  function table(label, caption, heads, rows) {
    return el(
      "div",
      { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
      el("table", { class: "pinned" }, el("caption", {}, el("div", {}, el("strong", {}, `${label}. `), caption)), el("thead", {}, el("tr", {}, heads.map((head, place) => el("th", { scope: "col", class: place ? null : "text" }, head)))), el("tbody", {}, rows)),
    );
  }

  function differences(board, models, data) {
    const found = tests(models, data);
    if (board.models.length < 2) return el("p", { class: "nothing" }, "This benchmark has one model: there is nothing to compare it with.");
    if (!found.length) return el("p", { class: "nothing" }, "These models share no task with values by query.");
    const rows = found.map((test) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, name(board, test.a), " − ", name(board, test.b), el("small", {}, `${board.tasks[test.number].title}, ${board.tasks[test.number].main}`)),
        el("td", { class: test.holm < 0.05 ? "clear" : null }, signed(test.difference)),
        el("td", {}, `${signed(test.low)} to ${signed(test.high)}`),
        el("td", {}, test.p.toFixed(4)),
        el("td", {}, test.holm.toFixed(4)),
        el("td", {}, test.holm < 0.05 ? "they differ" : "may be chance"),
      ),
    );
    const caption = `Interval: bootstrap over clusters of queries; p: paired randomisation test, ${data.resamples.toLocaleString("en")} draws each; corrected after Holm for the tests of this table.`;
    return table("Differences", caption, ["A − B", "Difference", "95 %", "p", "p, corrected", "Reading"], rows);
  }

  function grains(board, models, data) {
    const rows = [];
    for (const panel of data.grains) {
      for (const row of models) {
        const line = panel.lines[row];
        if (!line) continue;
        rows.push(
          el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, board.models[row].label), el("small", {}, panel.title)), line.map((cell) => (cell ? el("td", {}, cell[0].toFixed(2), cell[1] === null ? null : el("small", {}, `${cell[1].toFixed(2)}–${cell[2].toFixed(2)}`)) : el("td", { class: "none" }, "—")))),
        );
      }
    }
    return rows.length ? table(`Pair accuracy by ${board.noun}`, "0.50 is chance. Below it the 95 % interval.", ["Model", ...board.grains], rows) : null;
  }

  async function drawWins(board, models, place, current) {
    const made = [];
    for (let number = 0; number < board.tasks.length; number++) {
      if (!board.tasks[number].explored) continue;
      for (let a = 0; a < models.length; a++) {
        for (let b = a + 1; b < models.length; b++) {
          const found = await wins(`${board.key}/t${number}`, models[a], models[b]);
          if (found) made.push(...winRows(board, number, models[a], models[b], found));
        }
      }
    }
    if (!current() || !made.length) return;
    place.replaceChildren(table("Wins, ties and losses", "Queries on which A is right and B wrong, both are alike, or B is right and A wrong; all, and those that ask for a grain.", ["Queries", "A wins", "ties", "B wins", "Examples"], made));
  }

  function winRows(board, number, a, b, found) {
    const example = (row, text, flag) => {
      const to = new URLSearchParams({ b: board.key, t: number, m: a, n: b, f: flag, q: found.index.ids[row] });
      return el("a", { href: `${root}explore.html#${to}` }, text);
    };
    const line = (what, part) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, what, el("small", {}, `${board.models[a].label} − ${board.models[b].label}, ${board.tasks[number].title}, in the first ${found.k}`)),
        el("td", {}, String(part.wins)),
        el("td", {}, String(part.ties)),
        el("td", {}, String(part.losses)),
        el("td", {}, part.won.length ? example(part.won[0], "A right", "ab") : null, part.won.length && part.lost.length ? " · " : null, part.lost.length ? example(part.lost[0], "B right", "ba") : null),
      );
    return [line("all queries", found.all), ...found.by.map((part) => line(part.name, part))];
  }
})();
