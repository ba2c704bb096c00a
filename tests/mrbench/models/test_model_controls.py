import numpy as np
import pytest
from PIL import Image

from mrbench.errors import ModelError
from mrbench.models.controls import ConstantModel, RandomModel
from mrbench.models.histogram import ColourHistogram, colour_histogram
from mrbench.models.protocol import EmbeddingModel, Item, supports
from mrbench.records import TASKS

ITEMS = [
    Item(text="a dog"),
    Item(text="two dogs"),
    Item(image=Image.new("RGB", (4, 4), "red")),
    Item(image=Image.new("RGB", (4, 4), "blue")),
    Item(text="a dog", image=Image.new("RGB", (4, 4), "red")),
]


@pytest.mark.parametrize("model", [RandomModel(), ConstantModel(), ColourHistogram()])
def test_shape_of_the_protocol(model: EmbeddingModel) -> None:
    assert isinstance(model, EmbeddingModel)
    items = [item for item in ITEMS if (item.image and not item.text) or "text" in model.modalities]
    for embeddings in (model.embed_queries(items, "find it"), model.embed_candidates(items)):
        assert embeddings.shape == (len(items), model.dimension)
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert model.embed_queries([], "").shape == model.embed_candidates([]).shape == (0, model.dimension)
    assert model.embed_candidates([]).dtype == np.float32


def test_random_depends_on_content_alone() -> None:
    model = RandomModel()
    whole = model.embed_candidates(ITEMS)
    reversed_one_by_one = np.concatenate([RandomModel().embed_candidates([item]) for item in reversed(ITEMS)])
    np.testing.assert_array_equal(whole, reversed_one_by_one[::-1])
    assert len(np.unique(whole, axis=0)) == len(ITEMS)
    np.testing.assert_array_equal(model.embed_queries(ITEMS, "one"), model.embed_queries(ITEMS, "another"))


def test_random_tells_sides_and_seeds_apart() -> None:
    candidates = RandomModel(seed=0).embed_candidates(ITEMS)
    for other in (RandomModel(seed=0).embed_queries(ITEMS, ""), RandomModel(seed=1).embed_candidates(ITEMS)):
        assert np.abs((candidates * other).sum(1)).max() < 0.6


def test_random_vectors_are_isotropic_and_stay_as_they_are() -> None:
    vectors = RandomModel().embed_candidates([Item(text=str(number)) for number in range(4000)])
    np.testing.assert_allclose(vectors.mean(0), 0, atol=0.01)
    np.testing.assert_allclose((vectors**2).mean(0), 1 / 64, rtol=0.12)
    np.testing.assert_allclose(vectors[0, :3], [-0.2116998, -0.0153204, 0.0002961], atol=1e-6)


def test_constant_scores_exactly_one() -> None:
    model = ConstantModel()
    scores = model.embed_queries(ITEMS, "") @ model.embed_candidates(ITEMS).T
    assert (scores == 1).all()


def test_an_empty_item_is_refused() -> None:
    with pytest.raises(ModelError, match="neither a text nor an image"):
        RandomModel().embed_candidates([Item()])


def test_histogram_counts_by_hand() -> None:
    image = Image.new("RGB", (2, 2), "white")
    image.putpixel((1, 0), (0, 0, 40))
    vector = colour_histogram(image)
    expected = np.zeros(2048)
    expected[[511, 512 + 1, 1024 + 511, 1536 + 511]] = 0.5
    np.testing.assert_array_equal(vector, expected.astype(np.float32))


def test_histogram_is_bhattacharyya_and_independent_of_scale() -> None:
    image = Image.new("RGB", (8, 8), "white")
    image.paste("red", (0, 0, 4, 4))
    other = Image.new("RGB", (8, 8), "white")
    assert float(colour_histogram(image) @ colour_histogram(other)) == pytest.approx(0.75)
    np.testing.assert_allclose(
        colour_histogram(image), colour_histogram(image.resize((64, 32), Image.Resampling.NEAREST)), atol=1e-6
    )
    assert np.linalg.norm(colour_histogram(Image.new("RGB", (1, 3)))) == pytest.approx(1)


def test_histogram_refuses_text() -> None:
    model = ColourHistogram()
    with pytest.raises(ModelError, match="takes no text; where: colour-histogram, item 1"):
        model.embed_candidates([ITEMS[2], ITEMS[4]])
    assert [name for name, task in TASKS.items() if supports(model, task)] == ["i2i"]
    assert all(supports(RandomModel(), task) for task in TASKS.values())
