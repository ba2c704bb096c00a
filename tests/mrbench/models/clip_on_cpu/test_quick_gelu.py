"""CLIP's MLPs in one pass, against those of transformers."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch.nn import Linear
from transformers import CLIPModel
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPMLP

from mrbench.models.clip_on_cpu.quick_gelu import QuickMLP, is_quick, use_quick_mlps
from mrbench.models.dual_encoder import DualEncoder


def mlp(act: str = "quick_gelu") -> CLIPMLP:
    torch.manual_seed(0)
    return CLIPMLP(CLIPTextConfig(hidden_size=24, intermediate_size=40, hidden_act=act)).eval()


@pytest.mark.parametrize("shape", [(24,), (7, 24), (2, 3, 24), (0, 24)])
def test_values_and_shape_are_those_of_transformers(shape: tuple[int, ...]) -> None:
    stock, hidden = mlp(), 9 * torch.randn(shape)
    before = hidden.clone()
    with torch.inference_mode():
        torch.testing.assert_close(QuickMLP(stock)(hidden), stock(hidden), atol=1e-5, rtol=1e-5)
    assert torch.equal(hidden, before)


def test_a_sum_is_that_of_both() -> None:
    quick, hidden, total = QuickMLP(mlp()), torch.randn(5, 24), torch.randn(5, 24)
    expected = total + quick(hidden)
    with torch.inference_mode():
        torch.testing.assert_close(quick.add_to(total.clone(), hidden), expected, atol=1e-5, rtol=1e-5)
    before = total.clone()
    torch.testing.assert_close(quick.add_to(total, hidden), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(total, before)  # of which a gradient may be asked


def test_gradients_are_those_of_transformers() -> None:
    stock, hidden = mlp(), torch.randn(5, 24)
    quick = QuickMLP(deepcopy(stock))
    for part in (stock, quick):
        part(hidden).square().sum().backward()
    for name, parameter in stock.named_parameters():
        assert torch.equal(quick.get_parameter(name).grad, parameter.grad), name


def test_a_hook_on_a_part_is_called_and_what_it_returns_counts() -> None:
    quick, hidden = QuickMLP(mlp()), torch.randn(5, 24)
    handle = quick.activation_fn.register_forward_hook(lambda module, inputs, out: out * 0)
    with torch.inference_mode():
        assert torch.equal(quick(hidden), quick.fc2.bias.expand(5, -1))
        handle.remove()
        assert not torch.equal(quick(hidden), quick.fc2.bias.expand(5, -1))


def test_other_parts_stay_as_they_are() -> None:
    class Adapted(Linear):
        """As adapters of weights are: of the same parameters, and something else."""

    adapted, without = mlp(), mlp()
    adapted.fc1 = Adapted(24, 40)
    without.fc2 = Linear(40, 24, bias=False)
    for other in (mlp("gelu"), adapted, without, Linear(3, 3)):
        assert not is_quick(other)
    towers = torch.nn.ModuleList([mlp(), mlp("gelu"), adapted])
    use_quick_mlps(towers)
    assert [type(tower) for tower in towers] == [QuickMLP, CLIPMLP, CLIPMLP]


def test_a_checkpoint_embeds_and_is_written_as_before(clip: Path, tmp_path: Path) -> None:
    model = DualEncoder(str(clip), device="cpu")
    kinds = [type(part) for part in model.module.modules()]
    stock = CLIPModel.from_pretrained(clip).eval()
    layers = [*stock.text_model.encoder.layers, *stock.vision_model.encoder.layers]
    assert (kinds.count(QuickMLP), kinds.count(CLIPMLP)) == (len(layers), 0)
    tokens, pixels = torch.tensor([[0, 5, 6, 1]]), torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        for found, expected in (
            (model.module.get_text_features(tokens), stock.get_text_features(tokens)),
            (model.module.get_image_features(pixels), stock.get_image_features(pixels)),
        ):
            torch.testing.assert_close(found.pooler_output, expected.pooler_output, atol=1e-6, rtol=1e-5)
    model.save(tmp_path / "saved")
    written = CLIPModel.from_pretrained(tmp_path / "saved").state_dict()
    assert all(torch.equal(value, written[name]) for name, value in stock.state_dict().items())
    assert CLIPMLP not in map(type, DualEncoder(str(clip), device="cpu").module.modules())
    assert QuickMLP not in map(type, DualEncoder(str(clip), device="cpu", dtype="bfloat16").module.modules())
