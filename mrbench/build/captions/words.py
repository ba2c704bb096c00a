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
MASS = frozenset(
    "water snow grass sand mud dirt ice gravel equipment clothing clothes luggage furniture food fruit hay wood metal "
    "glass paper gear traffic rain smoke fog wheat corn rice bread cheese meat chicken beef wine beer milk coffee tea "
    "juice hair fur makeup jewelry jewellery foliage vegetation greenery shrubbery brush soil concrete asphalt spray "
    "surf foam mist steam dust confetti graffiti fire lettuce broccoli spinach pasta soup salad cake pizza "
    "sunlight darkness seaweed sunshine silverware garbage trash rubbish mulch straw ivy".split()
)
"""Nouns of one form that take no "a"."""
DEFINITE = frozenset(
    "ground floor pavement air sky beach sea ocean city shore woods countryside sun dark wilderness surf".split()
)
"""Nouns that have "the" where a caption has left it out."""
PLURAL = frozenset("people police cattle sunglasses jeans pants shorts scissors glasses trousers goggles".split())
"""Nouns of plural sense that have no other form, or whose other form means something else."""
UNSEEN = frozenset(
    "area background front group kind lot outdoors pair part photo picture pitch place position round "
    "scene side set sort space surface thing things top transportation type view way world".split()
)
"""Words that name no one thing that can be seen in a photo, or that hold for every other place too."""
PREPOSITIONS = frozenset(
    (
        "above across against along around at behind below beneath beside between by down in inside into near on onto "
        "outside over past through under underneath up with"
    ).split()
) | {"in front of", "next to", "on top of", "out of", "close to"}
"""Words between two things that say how they stand to each other."""
_CONSONANT = ("uni", "use", "user", "usu", "euro", "one", "ukulele", "ute", "ufo")


def with_articles(text: str) -> str:
    """Return a text whose "a" and "an" fit the word that follows.

    >>> with_articles("A old man on an bench with a umbrella")
    'An old man on a bench with an umbrella'
    """
    return _ARTICLE.sub(lambda found: f"{found[1]}{'n' if takes_an(found[2]) else ''} {found[2]}", text)


def takes_an(word: str) -> bool:
    """Return True where "an" stands before a word.

    >>> takes_an("apple"), takes_an("hour"), takes_an("unicycle")
    (True, True, False)
    """
    low = word.lower()
    return (low[0] in "aeiou" and not low.startswith(_CONSONANT)) or low.startswith(_SILENT)
