"""Small matters of English: articles, and words that say nothing of a photo."""

# ruff: noqa: SIM905 - lists of words are easier to read and edit as text

from __future__ import annotations

import re

_ARTICLE = re.compile(r"\b([Aa])n? ([A-Za-z]\w*)")
_SILENT = ("hour", "honest", "heir", "honor", "honour")
EMPTY = frozenset(
    "a about above across after against all along also although among an and another any around as at away back be "
    "been before behind being below beneath beside between both but by can close do does down during each either "
    "for from front full group had has have he her here herself him himself his how i image in inside into is it "
    "its itself just like lot lots many middle more most near next no nor not of off on one onto or other others "
    "out outside over photo photograph picture s scene set she side so some someone something sort such t than that "
    "the their them themselves there these they thing this those through to together top toward towards under "
    "underneath up upon various very via view was were what when where which while who whose with within you your "
    "are am being kind type shot".split()
)
"""Words that say nothing of their own: articles, pronouns, prepositions, words for the photo."""
_CONSONANT = ("uni", "use", "user", "usu", "euro", "one", "ukulele", "ute", "ufo")


def with_articles(text: str) -> str:
    """Return a text whose "a" and "an" fit the word that follows.

    >>> with_articles("A old man on an bench with a umbrella")
    'An old man on a bench with an umbrella'
    """
    return _ARTICLE.sub(lambda found: f"{found[1]}{'n' if takes_an(found[2]) else ''} {found[2]}", text)


def takes_an(word: str) -> bool:
    """Whether "an" stands before a word.

    >>> takes_an("apple"), takes_an("hour"), takes_an("unicycle")
    (True, True, False)
    """
    low = word.lower()
    return (low[0] in "aeiou" and not low.startswith(_CONSONANT)) or low.startswith(_SILENT)
