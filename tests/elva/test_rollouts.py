import numpy as np
import pytest
import torch
from PIL import Image
from tiny_summariser import END, IMAGE, SPECIAL, TinySummariser

from elva.prompts import Input
from elva.rollouts import Rollouts, sample, seeded, teacher_forced

NOISE = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
INPUTS = [
    Input(text="ab"),
    Input(image=Image.fromarray(NOISE[0])),
    Input(text="cdefgh"),
    Input(text="e", image=Image.fromarray(NOISE[1])),
]


@pytest.fixture(scope="module")
def model():
    return TinySummariser()


def draw(model, inputs=INPUTS, **options):
    settings = {
        "rollouts": 5,
        "max_tokens": 9,
        "end": END,
        "forbidden": SPECIAL,
        "generators": [seeded(0, row) for row in range(len(inputs))],
    } | options
    return sample(model.backbone, model.head, model.prompts(inputs, "summary"), **settings)


def force(model, rolled, inputs=INPUTS):
    prompts = model.prompts(inputs, "summary")
    return teacher_forced(model.backbone, model.head, prompts, rolled.tokens, rolled.lengths, forbidden=SPECIAL)


def alone(model, item, tokens):
    """Log-probabilities and embedding of one summary, by the model as transformers has it, without cache or mask."""
    sequence = torch.tensor([[*model.tokens(item), *tokens]])
    pictures = {}
    if item.image is not None:
        pixels, grid = model.pixels([item])
        kinds = (sequence == IMAGE).int()
        pictures = {"pixel_values": pixels, "image_grid_thw": grid, "mm_token_type_ids": kinds}
    model.plain.model.rope_deltas = None
    hidden = model.plain.model(input_ids=sequence, attention_mask=torch.ones_like(sequence), **pictures)[0][0]
    scores = model.head(hidden[-len(tokens) - 1 : -1]).index_fill(-1, SPECIAL, -torch.inf)
    chosen = scores.log_softmax(-1)[range(len(tokens)), list(tokens)]
    return chosen, torch.nn.functional.normalize(hidden[-1], dim=-1)


def each(rolled):
    for row, item in enumerate(INPUTS):
        for rollout, length in enumerate(rolled.lengths[row].tolist()):
            yield row, rollout, item, rolled.tokens[row, rollout, :length].tolist()


def test_what_branches_compute_is_what_they_compute_alone(model):
    rolled = draw(model)
    assert len(rolled.lengths.unique()) > 1  # some end early, some are forced to
    assert rolled.forced.any()
    with torch.no_grad():
        log_probs, embeddings = force(model, rolled)
        assert torch.allclose(embeddings, rolled.embeddings, atol=1e-5)
        for row, rollout, item, tokens in each(rolled):
            expected, embedding = alone(model, item, tokens)
            assert torch.allclose(log_probs[row, rollout, : len(tokens)], expected, atol=1e-4)
            assert torch.allclose(embeddings[row, rollout], embedding, atol=1e-5)


def test_gradients_of_shared_rows_are_those_of_rows_alone(model):
    rolled = draw(model)
    weights = [parameter for parameter in model.adapted.parameters() if parameter.requires_grad]
    direction = torch.randn(32, generator=seeded(1))
    log_probs, embeddings = force(model, rolled)
    together = torch.autograd.grad((log_probs * rolled.mask).sum() + (embeddings @ direction).sum(), weights)
    total = torch.zeros(())
    for row, rollout, item, tokens in each(rolled):
        chosen, embedding = alone(model, item, tokens)
        total = total + (chosen * rolled.mask[row, rollout, : len(tokens)]).sum() + embedding @ direction
    for one, other in zip(together, torch.autograd.grad(total, weights), strict=True):
        assert float((one - other).norm()) <= 1e-4 * float(other.norm()) + 1e-5
    assert max(float(one.abs().max()) for one in together) > 0.1


def test_tokens_are_drawn_as_probable_as_they_are_and_special_ones_never(model):
    rolled = draw(model, INPUTS[:1], rollouts=4000, max_tokens=1, temperature=2.0)
    first = rolled.tokens[0, :, 0]
    drawn = torch.bincount(first, minlength=48) / 4000
    hidden = model.plain.model(input_ids=torch.tensor([model.tokens(INPUTS[0])]))[0][0, -1]
    expected = (model.head(hidden) / 2).index_fill(-1, SPECIAL, -torch.inf).softmax(-1)
    assert (drawn - expected).abs().max() < 0.03
    assert drawn[SPECIAL].sum() == 0
    assert drawn[END] > 0


def test_log_probabilities_are_those_at_the_temperature_of_sampling(model):
    rolled = draw(model, INPUTS[:1], temperature=2.0)
    with torch.no_grad():
        prompts = model.prompts(INPUTS[:1], "summary")
        found, _ = teacher_forced(
            model.backbone, model.head, prompts, rolled.tokens, rolled.lengths, forbidden=SPECIAL, temperature=2.0
        )
        for rollout, length in enumerate(rolled.lengths[0].tolist()):
            tokens = rolled.tokens[0, rollout, :length].tolist()
            sequence = torch.tensor([[*model.tokens(INPUTS[0]), *tokens]])
            model.plain.model.rope_deltas = None
            hidden = model.plain.model(input_ids=sequence)[0][0, -length - 1 : -1]
            scores = model.head(hidden).index_fill(-1, SPECIAL, -torch.inf) / 2
            expected = scores.log_softmax(-1)[range(length), tokens]
            assert torch.allclose(found[0, rollout, :length], expected, atol=1e-4)


@pytest.mark.slow
def test_the_likeliest_tokens_without_temperature(model):
    rolled = draw(model, temperature=0, rollouts=2)
    assert (rolled.tokens[:, 0] == rolled.tokens[:, 1]).all()
    for _, _, item, tokens in each(rolled):
        for place, token in enumerate(tokens[:-1]):
            scores = torch.stack(
                [alone(model, item, [*tokens[:place], other])[0][-1] for other in [*range(IMAGE), 46, 47]]
            )
            assert [*range(IMAGE), 46, 47][int(scores.argmax())] == token


def test_the_mask_leaves_out_padding_and_forced_ends():
    tokens = torch.tensor([[[1, 2, END], [3, END, END]]])
    rolled = Rollouts(tokens, torch.tensor([[3, 2]]), torch.tensor([[True, False]]), torch.zeros(1, 2, 4))
    assert rolled.mask.tolist() == [[[1, 1, 0], [1, 1, 0]]]


def test_a_seed_gives_the_same_rollouts(model):
    one, same, other = draw(model), draw(model), draw(model, generators=[seeded(1, row) for row in range(4)])
    assert torch.equal(one.tokens, same.tokens)
    assert torch.equal(one.embeddings, same.embeddings)
    assert one.tokens.shape != other.tokens.shape or (one.tokens != other.tokens).any()


def test_bfloat16_is_near():
    model = TinySummariser(dtype=torch.bfloat16)
    rolled = draw(model, INPUTS[:1])
    log_probs, embeddings = force(model, rolled, INPUTS[:1])
    assert log_probs.dtype == embeddings.dtype == torch.float32
    assert torch.allclose(embeddings, rolled.embeddings, atol=0.05)
