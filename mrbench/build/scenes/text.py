"""Writes the texts of scenes, with the span of each grain.

Queries and candidates have disjoint sets of phrasings and, where English has them, different words. Both describe a
relation in both directions: dogs to the left of a castle, and a castle to the right of dogs.
"""

from __future__ import annotations

import random

from mrbench.build.scenes.vocabulary import (
    BACKGROUND,
    BACKGROUNDS,
    COUNT,
    ENTITIES,
    ENTITY,
    INVERSE,
    LANDMARKS,
    RELATION,
    SECOND,
    SIZE,
    Scene,
    article,
)
from mrbench.build.sentence import Part, compose
from mrbench.records import Grain

Parts = list[Part | str]

QUERY_PHRASINGS = CANDIDATE_PHRASINGS = 6
_SIZE_WORDS = ({"small": "small", "large": "large"}, {"small": "little", "large": "big"})
_QUERY_RELATIONS = {"left of": "to the left of", "right of": "to the right of", "above": "above", "below": "below"}
_CANDIDATE_RELATIONS = _QUERY_RELATIONS | {"left of": "on the left of", "right of": "on the right of"}
_BESIDE = {"left of": "on {} left", "right of": "on {} right", "above": "above {}", "below": "below {}"}
_PLACES = {"left of": "on the left", "right of": "on the right", "above": "at the top", "below": "at the bottom"}
_OPENINGS = ("the same scene", "the same picture", "this scene")


def query_text(scene: Scene, phrasing: int, without: str | None = None) -> tuple[str, tuple[Grain, ...]]:
    """Return the text of a query for a scene, and its grains.

    Without its count there are "one or more" of a thing, whatever the count was; without its name it is "something";
    without the relation two things are joined by "and".

    Args:
        scene: The scene.
        phrasing: 0 to ``QUERY_PHRASINGS - 1``; odd ones mention the landmark first.
        without: Grain type to leave out.

    >>> scene = {"count": "two", "entity": "dog", "relation": "above", "second entity": "bed", "background": "night"}
    >>> query_text(scene, 0)[0]
    'Two dogs above a bed, at night.'
    >>> query_text(scene, 1)[0]
    'A bed below two dogs, at night.'
    >>> [query_text(scene, 0, without=kind)[0] for kind in ("count", "entity", "relation")]
    ['One or more dogs above a bed, at night.', 'Two things above a bed, at night.', 'Two dogs and a bed, at night.']
    """
    swapped = phrasing % 2 == 1
    things = _focus(scene, 0, without)
    if SECOND in scene:
        relation = INVERSE[scene[RELATION]] if swapped else scene[RELATION]
        joint: Part | str = "and" if without == RELATION else Part(_QUERY_RELATIONS[relation], RELATION)
        ends = [things, _landmark(scene, without)]
        first, last = reversed(ends) if swapped else ends
        things = [*first, joint, *last]
    opening, fronted = (("", False), ("a picture of", False), ("", True))[phrasing // 2]
    if without == BACKGROUND:
        parts = [opening, *things]
    elif BACKGROUND not in scene:
        parts = ["a drawing of" if fronted else opening, *things]
    elif fronted:
        parts = [Part(BACKGROUNDS[scene[BACKGROUND]][0], BACKGROUND), ",", *things]
    else:
        parts = [opening, *things, *_background(scene, 0)]
    return compose(parts, {kind: value for kind, value in scene.items() if kind != without})


def candidate_text(scene: Scene, phrasing: int) -> tuple[str, tuple[Grain, ...]]:
    """Return the text of a candidate for a scene, and its grains.

    Args:
        scene: The scene.
        phrasing: 0 to ``CANDIDATE_PHRASINGS - 1``; odd ones mention the landmark first.

    >>> scene = {"count": "two", "size": "large", "entity": "dog", "relation": "left of", "second entity": "bed"}
    >>> for phrasing in range(6):
    ...     print(candidate_text(scene, phrasing)[0])
    There are two big dogs on the left of a bed.
    Here a bed is on the right of two big dogs.
    Two big dogs with a bed on their right.
    A bed with two big dogs on its left.
    Here we see two big dogs, with a bed on their right.
    We see a bed here, and two big dogs on its left.
    """
    focus, beyond = _focus(scene, 1, None), _background(scene, 1)
    one = scene[COUNT] == "one"
    there: Parts = ["there is" if one else "there are", *focus]
    if SECOND not in scene:
        ways: list[Parts] = [there, ["here we see", *focus], ["the scene shows", *focus]]
        return compose([*ways[phrasing % 3], *beyond], scene)
    landmark, relation = _landmark(scene, None), scene[RELATION]
    its = "its" if one else "their"
    it = "it" if one else "them"
    inverse = INVERSE[relation]
    on_focus = Part(_BESIDE[inverse].format(its if "on" in _BESIDE[inverse].split() else it), RELATION)
    on_landmark = Part(_BESIDE[relation].format("its" if "on" in _BESIDE[relation].split() else "it"), RELATION)
    ways = [
        [*there, Part(_CANDIDATE_RELATIONS[relation], RELATION), *landmark],
        ["here", *landmark, "is", Part(_CANDIDATE_RELATIONS[inverse], RELATION), *focus],
        [*focus, "with", *landmark, on_focus],
        [*landmark, "with", *focus, on_landmark],
        ["here we see", *focus, ", with", *landmark, on_focus],
        ["we see", *landmark, "here, and", *focus, on_landmark],
    ]
    return compose([*ways[phrasing], *beyond], scene)


def change_text(
    target: Scene, reference: Scene, stated: tuple[str, ...], rng: random.Random
) -> tuple[str, tuple[Grain, ...]]:
    """Return the text of a composed query, and its grains. It states new values only for the types in ``stated``.

    The words for unchanged things take their number and kind from the reference picture.

    >>> dogs = {"count": "two", "entity": "dog", "background": "snow"}
    >>> cats = {"count": "three", "entity": "cat", "background": "snow"}
    >>> change_text(cats, dogs, ("count", "entity"), random.Random(1))[0]
    'The same scene, but with three cats instead of the dogs.'
    >>> change_text(cats, dogs, ("count",), random.Random(1))[0]
    'The same scene, but with three animals.'
    >>> change_text(cats, dogs, (), random.Random(1))[0]
    'The same scene.'
    """
    opening = rng.choice(_OPENINGS)
    shown = {**reference, **{kind: target[kind] for kind in stated}}
    clauses = _clauses(shown, reference, frozenset(stated))
    if rng.random() < 0.5:
        clauses.reverse()
    parts: Parts = [opening]
    for number, clause in enumerate(clauses):
        parts += ["and" if number else ", but", *clause]
    return compose(parts, target)


def _clauses(shown: Scene, reference: Scene, stated: frozenset[str]) -> list[Parts]:
    """Return a clause each for the focus, the landmark and the background, for those that change."""
    clauses: list[Parts] = []
    one, was_one = shown[COUNT] == "one", reference[COUNT] == "one"
    old = ENTITIES[reference[ENTITY]]
    where: Parts = [Part(_PLACES[shown[RELATION]], RELATION)] if RELATION in stated else []
    size: Parts = [Part(shown[SIZE], SIZE)] if SIZE in stated else []
    count: Parts = [Part(shown[COUNT], COUNT)] if COUNT in stated else []
    if ENTITY in stated:
        new = ENTITIES[shown[ENTITY]]
        name = new.name if one else new.plural
        if one and not count:
            count = [article(shown[SIZE] if size else name)]
        instead = f"instead of the {old.name if was_one else old.plural}"
        clauses.append(["with", *count, *size, Part(name, ENTITY), instead, *([", now", *where] if where else [])])
    elif count:
        clauses.append(["with", *count, *size, old.kind[not one], *([", now", *where] if where else [])])
    elif size or where:
        joint: Parts = ["and"] if size and where else []
        clauses.append([f"with the {old.kind[not one]}", *size, *joint, *where])
    if SECOND in stated:
        landmark = LANDMARKS[shown[SECOND]]
        instead = f"instead of the {reference[SECOND]}"
        clauses.append([f"with {landmark.article}", Part(landmark.name, SECOND), instead])
    if BACKGROUND in stated:
        clauses.append([Part(BACKGROUNDS[shown[BACKGROUND]][0], BACKGROUND)])
    return clauses


def _focus(scene: Scene, half: int, without: str | None) -> Parts:
    """Return count, size and name of the focus; ``half`` is 0 for queries and 1 for candidates."""
    noun, one = ENTITIES[scene[ENTITY]], scene[COUNT] == "one"
    size: Parts = []
    if SIZE in scene and without != SIZE:
        size = [Part(_SIZE_WORDS[half][scene[SIZE]], SIZE)]
    if without == ENTITY:
        return ["something", *size] if one else [Part(scene[COUNT], COUNT), *size, "things"]
    if without == COUNT:
        return ["one or more", *size, Part(noun.plural, ENTITY)]
    name = Part(noun.name if one else noun.plural, ENTITY)
    first = size[0] if size else name
    number = article(first.words if isinstance(first, Part) else first) if one else scene[COUNT]
    return [Part(number, COUNT), *size, name]


def _landmark(scene: Scene, without: str | None) -> Parts:
    if without == SECOND:
        return ["something"]
    noun = LANDMARKS[scene[SECOND]]
    return [noun.article, Part(noun.name, SECOND)]


def _background(scene: Scene, half: int) -> Parts:
    if BACKGROUND not in scene:
        return []
    words = Part(BACKGROUNDS[scene[BACKGROUND]][half], BACKGROUND)
    return [",", words] if SECOND in scene else [words]
