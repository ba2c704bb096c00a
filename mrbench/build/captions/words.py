"""Small repairs of English: articles."""

from __future__ import annotations

import re

_ARTICLE = re.compile(r"\b([Aa])n? ([A-Za-z]\w*)")
_SILENT = ("hour", "honest", "heir", "honor", "honour")
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
