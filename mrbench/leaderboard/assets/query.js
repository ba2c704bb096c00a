"use strict";
// Draws one query: what it asks for, its ladder, and the first results of one or two models.
mrbench.query = (() => {
  const { el, load, root } = mrbench;

  function picture(address, text) {
    return address ? el("img", { src: root + address, alt: text, loading: "lazy", decoding: "async" }) : null;
  }

  // Colours go by the order of the query's own grains, so that neighbours differ.
  function colours(grains) {
    const order = [...new Set(grains.map(([kind]) => kind))];
    return (kind) => `g${Math.max(0, order.indexOf(kind)) % 8}`;
  }

  function written(parts, types, colour, kept) {
    return parts.map(([text, kind]) =>
      kind < 0 || !kept(kind) ? document.createTextNode(text) : el("mark", { class: colour(kind), title: types[kind] }, text),
    );
  }

  function pill(kind, types, colour) {
    return el("span", { class: `pill ${colour(kind)}` }, types[kind] ?? "?");
  }

  function shown(candidate, types, colour, marked) {
    if (!candidate) return el("span", {}, "not in the data");
    const [id, text, address, grains] = candidate;
    const says = grains.map(([, value]) => value).join(", ");
    const image = picture(address, says || `candidate ${id}`);
    const body = text ? el("bdi", {}, written(text, types, colour, marked)) : null;
    if (image || body) return [image, body];
    return el("span", {}, says || `candidate ${id}`);
  }

  function worth(relevant, lost, grade, asked, types, colour) {
    const grades = grade >= 0 && asked >= 0 ? `${grade}/${asked} ` : "";
    if (relevant) return el("span", { class: "worth" }, `${grades}relevant`);
    if (!lost.length) return el("span", { class: "worth" }, `${grades}not relevant`);
    return el("span", { class: "worth" }, `${grades}lost: `, lost.map((kind) => [pill(kind, types, colour), " "]).flat());
  }

  async function candidates(place, numbers, size) {
    const shards = [...new Set(numbers.map((number) => Math.floor(number / size)))];
    const loaded = new Map(await Promise.all(shards.map(async (shard) => [shard, await load(`${place}/c-${shard}`)])));
    return (number) => loaded.get(Math.floor(number / size))[number % size];
  }

  async function draw(box, place, index, row, models) {
    const { types, sizes } = index;
    const shard = await load(`${place}/q-${Math.floor(row / sizes.queries)}`);
    const [text, grains, instruction, address, ladder] = shard[row % sizes.queries];
    const tops = await Promise.all(
      models.map(async ({ row: model }) => (await load(`${place}/m${model}-${Math.floor(row / sizes.results)}`))[row % sizes.results]),
    );
    const numbers = [...ladder.map(([at]) => at), ...tops.flatMap((top) => top.map(([at]) => at))].filter((at) => at >= 0);
    const find = await candidates(place, numbers, sizes.candidates);
    const colour = colours(grains);
    const all = () => true;
    box.replaceChildren(
      el("h2", {}, "Query ", el("code", {}, index.ids[row])),
      el("p", { class: "note" }, index.instructions[instruction]),
      picture(address, "the picture of the query") ?? "",
      text ? el("p", { class: "said" }, el("bdi", {}, written(text, types, colour, all))) : "",
      el("ul", { class: "asked" }, grains.map(([kind, value]) => el("li", {}, pill(kind, types, colour), " ", value))),
      el("h3", {}, index.ladder ? "Its ladder" : "Judged candidates"),
      el(
        "ol",
        { class: "cards" },
        ladder.map(([at, grade, asked, relevant, lost]) =>
          el(
            "li",
            { class: relevant ? "right" : null },
            shown(find(at), types, colour, (kind) => relevant || lost.includes(kind)),
            worth(relevant, lost, grade, asked, types, colour),
          ),
        ),
      ),
      el("div", { class: "found" }, models.map((model, place_) => results(model, tops[place_], find, types, colour))),
    );
  }

  function results(model, top, find, types, colour) {
    return el(
      "section",
      { "aria-label": `First results of ${model.label}` },
      el("h3", {}, "First ten of ", el("bdi", {}, model.label)),
      el("p", { class: "note" }, model.says),
      el(
        "ol",
        { class: "results" },
        top.map(([at, score, relevant, lost], place) =>
          el(
            "li",
            { class: relevant ? "right" : null },
            el("span", { class: "number" }, String(place + 1)),
            shown(find(at), types, colour, (kind) => lost.includes(kind)),
            el("div", {}, el("small", {}, score.toFixed(3)), worth(relevant, lost, -1, -1, types, colour)),
          ),
        ),
      ),
    );
  }

  return { draw };
})();
