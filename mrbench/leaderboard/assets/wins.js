"use strict";
// How often one model is right where another is wrong, over all queries and over those that ask for each grain type.
mrbench.wins = (() => {
  const { load } = mrbench;

  function count(index, one, other, k, flags) {
    const made = { wins: 0, ties: 0, losses: 0, won: [], lost: [] };
    for (let row = 0; row < index.ids.length; row++) {
      if (flags && flags[row] !== "1") continue;
      const [a, b] = [one, other].map((found) => found.rank[row] !== null && found.rank[row] <= k);
      if (a === b) made.ties++;
      else if (a) {
        made.wins++;
        if (made.won.length < 5) made.won.push(row);
      } else {
        made.losses++;
        if (made.lost.length < 5) made.lost.push(row);
      }
    }
    return made;
  }

  // Returns null where the site has no queries of the task, or no run of both models.
  async function wins(place, one, other) {
    const index = await load(`${place}/index`);
    if (!index.models.includes(one) || !index.models.includes(other)) return null;
    const [a, b] = await Promise.all([load(`${place}/m${one}`), load(`${place}/m${other}`)]);
    const by = index.types.map((name, kind) => ({ name, ...count(index, a, b, index.k, index.asks[kind]) }));
    return { index, k: index.k, all: count(index, a, b, index.k, null), by: by.filter((part) => part.wins + part.ties + part.losses) };
  }

  return wins;
})();
