"use strict";
(() => {
  const sheet = JSON.parse(document.getElementById("sheet").textContent);
  const store = `mrbench-review:${sheet.digest}`;
  const answers = ["yes", "no", "unsure"];
  const names = sheet.items.map((item) => JSON.stringify(item.key));
  const find = (selector) => document.querySelector(selector);
  const reviewer = document.getElementById("reviewer");
  const history = [];
  let votes = {}; // of all sheets of this benchmark; a page shows and gives out its own
  let at = 0;

  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(store) || "{}");
      for (const [name, vote] of Object.entries(kept.votes || {})) if (answers.includes(vote)) votes[name] = vote;
      reviewer.value = typeof kept.reviewer === "string" ? kept.reviewer.slice(0, 60) : "";
    } catch {
      votes = {};
    }
    if (!reviewer.value) {
      const random = crypto.getRandomValues(new Uint8Array(4));
      reviewer.value = "reviewer-" + [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
  };

  const save = () => {
    try {
      localStorage.setItem(store, JSON.stringify({ reviewer: reviewer.value, votes }));
    } catch {
      document.getElementById("unsaved").hidden = false;
    }
  };

  const element = (kind, text, name) => {
    const made = document.createElement(kind);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };

  const side = (id, shown, label) => {
    const parts = [];
    if (shown.picture !== null) {
      const image = document.createElement("img");
      image.alt = `photo of the ${label}`;
      image.src = sheet.pictures[shown.picture];
      parts.push(image);
    }
    if (shown.text !== null) {
      const line = element("p", "");
      line.dir = "auto";
      for (const [text, marked] of shown.text) line.append(marked ? element("mark", text) : text);
      parts.push(line);
    }
    document.getElementById(id).replaceChildren(...parts);
  };

  const show = () => {
    const item = sheet.items[at];
    find(".claim").textContent = item.claim;
    side("query", item.query, "query");
    side("candidate", item.candidate, "candidate");
    find(".grains").replaceChildren(
      ...item.grains.map((grain) => element("li", `${grain.type}: ${grain.value}, ${grain.said}`, grain.said)),
    );
    for (const button of document.querySelectorAll("[data-vote]")) {
      button.setAttribute("aria-pressed", String(votes[names[at]] === button.dataset.vote));
    }
    find('[data-move="back"]').disabled = at === 0;
    find('[data-move="next"]').disabled = at === names.length - 1;
    find('[data-move="undo"]').disabled = history.length === 0;
    const mine = names.map((name) => votes[name]).filter(Boolean);
    const count = (vote) => mine.filter((one) => one === vote).length;
    const done = mine.length === names.length ? "All done: download your votes. " : "";
    find(".count").textContent =
      `${done}Claim ${at + 1} of ${names.length}, ${item.task}. ${mine.length} voted: ` +
      `${count("yes")} right, ${count("no")} wrong, ${count("unsure")} unsure`;
    const bar = find(".progress");
    bar.setAttribute("aria-valuenow", String(mine.length));
    bar.firstElementChild.style.width = `${(100 * mine.length) / names.length}%`;
  };

  const go = (to) => {
    at = Math.min(names.length - 1, Math.max(0, to));
    show();
  };

  const vote = (answer) => {
    history.push([at, votes[names[at]]]);
    votes[names[at]] = answer;
    save();
    go(at + 1);
  };

  const undo = () => {
    if (!history.length) return;
    const [where, before] = history.pop();
    if (before) votes[names[where]] = before;
    else delete votes[names[where]];
    save();
    go(where);
  };

  const download = () => {
    const given = sheet.items
      .map((item, number) => [item.key, votes[names[number]]])
      .filter(([, answer]) => answer)
      .map(([[task, split, query_id, candidate_id], answer]) => ({ task, split, query_id, candidate_id, vote: answer }));
    const { format, format_version, benchmark, digest } = sheet;
    const made = { format, format_version, benchmark, digest, reviewer: reviewer.value.trim(), votes: given };
    const link = document.createElement("a");
    const blob = new Blob([JSON.stringify(made, null, 1) + "\n"], { type: "application/json" });
    link.href = URL.createObjectURL(blob);
    link.download = `votes-${reviewer.value.trim().replace(/[^\p{L}\p{N}]+/gu, "-") || "nobody"}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  const moves = { back: () => go(at - 1), next: () => go(at + 1), undo };
  const keys = {
    y: () => vote("yes"),
    n: () => vote("no"),
    u: () => vote("unsure"),
    z: undo,
    arrowleft: moves.back,
    arrowright: moves.next,
  };
  document.addEventListener("keydown", (event) => {
    const undoes = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (event.target === reviewer || event.altKey || event.repeat) return;
    if ((event.ctrlKey || event.metaKey) && !undoes) return;
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("[data-vote]")) {
    button.addEventListener("click", () => vote(button.dataset.vote));
  }
  for (const button of document.querySelectorAll("[data-move]")) {
    button.addEventListener("click", () => moves[button.dataset.move]());
  }
  document.getElementById("download").addEventListener("click", download);
  reviewer.addEventListener("input", save);

  load();
  save();
  find("main").hidden = false;
  const open = names.findIndex((name) => !votes[name]);
  go(open < 0 ? 0 : open);
})();
