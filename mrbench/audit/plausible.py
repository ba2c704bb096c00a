"""How likely the words of a text are after each other, whatever it is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.pools import TaskPool

Words = list[str]


def plausibility(texts: Iterable[str]) -> Floats:
    """Return the mean log probability of a word after the one before it, estimated on the texts themselves."""
    sentences = [_words(text) for text in texts]
    after, before = _counted(sentences)
    return np.array([np.mean([np.log(after[p] / before[p[0]]) for p in pairwise(s)]) for s in sentences])


def plausibility_elsewhere(texts: Sequence[str], about: Ints) -> Floats:
    """Return the mean log probability of a word after the one before it, estimated on texts about other things.

    The probability is ``(pairs + share) / (times the word before stands + 1)``, where the share is that of the word
    among all words, plus one each.

    Args:
        texts: All candidates.
        about: What each is about, a number.
    """
    sentences = [_words(text) for text in texts]
    groups: dict[int, list[Words]] = defaultdict(list)
    for of, sentence in zip(about.tolist(), sentences, strict=True):
        groups[of].append(sentence)
    (after, words), own = _counted(sentences), {of: _counted(mine) for of, mine in groups.items()}
    total = words.total() + len(words)
    scores = []
    for of, sentence in zip(about.tolist(), sentences, strict=True):
        own_after, own_words = own[of]
        left = total - own_words.total()
        logs = []
        for first, second in pairwise(sentence):
            share = (words[second] - own_words[second] + 1) / left
            pairs = after[first, second] - own_after[first, second]
            logs.append(np.log((pairs + share) / (words[first] - own_words[first] + 1)))
        scores.append(np.mean(logs))
    return np.array(scores, dtype=np.float64)


def about(pool: TaskPool) -> Ints:
    """Return which query each text of a corpus is about, by its row: that of which it is relevant or in the ladder.

    People write several captions of one photo. A solver that learns from the others sees what the photo shows.
    """
    found = np.arange(int(pool.row.max(initial=-1)) + 1) + len(pool.query_ids)
    asking, relevant = pool.relevant
    for query, position in ((pool.ladder.query, pool.ladder.position), (asking, relevant)):
        found[pool.row[position]] = query
    return found


def _words(text: str) -> Words:
    return ["<s>", *text.lower().split(), "</s>"]


def _counted(sentences: Iterable[Words]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Return how often each word follows another, and how often each word stands."""
    after: Counter[tuple[str, str]] = Counter()
    words: Counter[str] = Counter()
    for sentence in sentences:
        after.update(pairwise(sentence))
        words.update(sentence)
    return after, words
