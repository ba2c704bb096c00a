"""Pictures of scenes: geometry, size, sameness."""

import random
from itertools import combinations

import numpy as np
import pytest
from PIL import ImageChops

from mrbench.build import art
from mrbench.build.scenes.backgrounds import VARIANTS, background
from mrbench.build.scenes.picture import EDGES, Picture, arrange, draw
from mrbench.build.scenes.vocabulary import BACKGROUNDS, COUNTS, ENTITIES, LANDMARKS, RELATIONS, SIZES


def layouts(**grains):
    for seed in range(40):
        yield arrange(grains, random.Random(seed))


def apart(a, b):
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_boxes_are_on_the_page_and_apart():
    for count in COUNTS:
        for size in (None, *SIZES):
            for relation in (None, *RELATIONS):
                grains = {"count": count, "size": size, "relation": relation}
                for layout in layouts(**{kind: value for kind, value in grains.items() if value}):
                    boxes = [*layout.focus, *([layout.landmark] if layout.landmark else [])]
                    assert len(layout.focus) == COUNTS.index(count) + 1
                    assert (layout.landmark is None) == (relation is None)
                    assert all(0 < box[0] < box[2] < 1 and 0 < box[1] < box[3] < 1 for box in boxes)
                    assert all(apart(a, b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("size", [None, *SIZES])
@pytest.mark.parametrize("count", COUNTS)
def test_the_relation_holds_and_no_other(relation, size, count):
    grains = {"count": count, "relation": relation} | ({"size": size} if size else {})
    for layout in layouts(**grains):
        left, top = (min(box[i] for box in layout.focus) for i in (0, 1))
        right, bottom = (max(box[i] for box in layout.focus) for i in (2, 3))
        land = layout.landmark
        gaps = {
            "left of": land[0] - right,
            "right of": left - land[2],
            "above": land[1] - bottom,
            "below": top - land[3],
        }
        assert gaps.pop(relation) > 0.05
        # On the other axis the two overlap, so no second relation holds.
        crosswise = ("above", "below") if relation in ("left of", "right of") else ("left of", "right of")
        assert all(gaps[other] < 0 for other in crosswise)


def test_where_things_stand_does_not_tell_their_size():
    for seed in range(30):
        rows = set()
        for size in SIZES:
            layout = arrange({"count": "three", "relation": "above", "size": size}, random.Random(seed))
            rows.add(len({round(box[1], 6) for box in layout.focus}))
        assert len(rows) == 1


def test_sizes_are_steps_that_show():
    assert EDGES["large"] / EDGES[None] > 1.5
    assert EDGES[None] / EDGES["small"] > 1.5


@pytest.mark.parametrize("artist", art.ARTISTS)
@pytest.mark.parametrize("size", [None, *SIZES])
def test_drawn_things_measure_what_they_should(artist, size):
    scene = (("count", "one"), *([("size", size)] if size else []), ("entity", "car"))
    box = ImageChops.invert(draw(Picture(scene, artist, "key", 224)).convert("L")).getbbox()
    assert abs(max(box[2] - box[0], box[3] - box[1]) - EDGES[size] * 224) <= 2


def test_same_description_same_pixels_and_other_key_other_arrangement():
    scene = (("count", "two"), ("entity", "dog"), ("background", "rain"))
    first, again, other = (draw(Picture(scene, "twemoji", key, 96)).tobytes() for key in ("a", "a", "b"))
    assert first == again
    assert first != other


def test_every_thing_was_drawn_by_both_artists_and_no_two_look_alike():
    for artist in art.ARTISTS:
        for nouns in (ENTITIES, LANDMARKS):
            assert all(art.exists(artist, noun.emoji) for noun in nouns.values())
            pixels = np.stack(
                [
                    np.asarray(art.on_white(art.render(artist, noun.emoji, 24), 24), np.float32).ravel()
                    for noun in nouns.values()
                ]
            )
            square = (pixels**2).sum(1)
            distance = square[:, None] + square[None] - 2 * pixels @ pixels.T
            np.fill_diagonal(distance, np.inf)
            assert distance.min() / pixels.shape[1] > 30**2


def test_backgrounds_differ_from_each_other_and_from_plain():
    means = {}
    for name in (None, *BACKGROUNDS):
        small = [background(name, variant, 64).convert("RGB").resize((8, 8)) for variant in range(VARIANTS)]
        means[name] = np.mean([np.asarray(image, np.float32) for image in small], axis=0)
    for a, b in combinations(means, 2):
        assert np.sqrt(((means[a] - means[b]) ** 2).mean()) > 25, (a, b)
