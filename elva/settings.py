"""The fields of a recipe: everything that decides a training run, with ranges and defaults."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Literal

from mrbench.fields import ranged
from mrbench.files import canonical_json

Embedding = Literal["summary", "prompt"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A small Qwen2-VL to build from nothing; a recipe has this or a ``base``.

    Attributes:
        hidden: Width of language model and vision encoder.
        layers: Layers of the language model.
        intermediate: Width of its feed-forward layers.
        heads: Attention heads of both.
        vision_layers: Layers of the vision encoder.
        patch: Side of a patch, in pixels.
        merge: Patches along the side of what becomes one token.
        image_size: Pictures are scaled to about this side, in pixels.
    """

    hidden: int = ranged(128, 16)
    layers: int = ranged(4, 1)
    intermediate: int = ranged(320, 16)
    heads: int = ranged(4, 1)
    vision_layers: int = ranged(3, 1)
    patch: int = ranged(8, 1)
    merge: int = ranged(2, 1)
    image_size: int = ranged(64, 16)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands around an input.

    Attributes:
        template: Pieces in braces are filled in: image, instruction, text, ask.
        summary: The ``ask`` that a generated summary follows.
        word: The ``ask`` that ``[RET]`` follows at once.
        instructions: Whether queries carry the instruction of their task.
        max_text: Longer texts are cut at so many tokens.
    """

    template: str = "<|im_start|>user\n{image}{instruction}{text}\n{ask}<|im_end|>\n<|im_start|>assistant\n"
    summary: str = "Analyse and summarise the key information of the input as a list of short phrases."
    word: str = "Say what the input means in one word."
    instructions: bool = True
    max_text: int = ranged(512, 1)


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on the linear layers of the language model.

    Attributes:
        rank: Rank of each update.
        alpha: Updates are scaled by ``alpha / rank``.
        dropout: Share of inputs to an adapter that are dropped.
    """

    rank: int = ranged(64, 1)
    alpha: int = ranged(128, 0)
    dropout: float = ranged(0.0, 0, 0.9)


@dataclass(frozen=True, slots=True)
class Optimiser:
    """AdamW with a linear warm-up and a linear or no decay; a pure function of the step, so a resumed run is exact.

    Attributes:
        steps: Number of steps; 0 takes ``epochs``.
        epochs: Passes over the data, where ``steps`` is 0.
        batch: Queries (stage 0: inputs) of a step, over all processes.
        chunk: Sequences that one process runs at a time; memory grows with this and not with the batch.
        lr: Highest learning rate.
        warmup: Share of the steps in which it rises.
        decay: Whether it falls to 0 until the last step.
        weight_decay: AdamW's.
        clip: Largest norm of the gradient; 0 leaves it as it is.
        balance: Small pools come round more often: (largest / size) ** balance times; 0 leaves them, 1 makes all alike.
        train: ``lora`` (adapters of the language model), ``language`` (all of it) or ``all`` (the vision encoder too).
    """

    steps: int = ranged(0, 0)
    epochs: float = ranged(1.0, 0, 1e6)
    batch: int = ranged(64, 1)
    chunk: int = ranged(64, 1)
    lr: float = ranged(1e-4, 0, 10)
    warmup: float = ranged(0.03, 0, 1)
    decay: bool = True
    weight_decay: float = ranged(0.0, 0)
    clip: float = ranged(1.0, 0)
    balance: float = ranged(0.0, 0, 1)
    train: Literal["lora", "language", "all"] = "lora"


@dataclass(frozen=True, slots=True)
class Pretraining(Optimiser):
    """Stage 0: describe pictures, restate texts.

    Attributes:
        pictures: Share of the inputs that are pictures alone; the rest are texts and composed queries.
    """

    pictures: float = ranged(0.7, 0, 1)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Balanced negative sampling, see :mod:`elva.negatives`.

    Attributes:
        hard: Negatives of the highest similarity left under the threshold (paper: 50).
        random: Negatives drawn from the rest of the pool (paper: 50).
        threshold: Cosine above which a candidate is dropped as too near. Not in the paper; 1 drops nothing, which is
            right where false negatives are known from the grains.
        against: Near to what: the ``query`` or its ``positive``.
        pool: Candidates of each modality, drawn at random, that negatives are mined among; 0 takes all.
        refresh: Steps after which negatives are mined anew with the current model, to the next batch; 0 mines once.
    """

    hard: int = ranged(50, 0)
    random: int = ranged(50, 0)
    threshold: float = ranged(1.0, -1, 1)
    against: Literal["query", "positive"] = "query"
    pool: int = ranged(0, 0)
    refresh: int = ranged(0, 0)


@dataclass(frozen=True, slots=True)
class Contrastive(Optimiser):
    """Stages 1 and 2: InfoNCE.

    Attributes:
        temperature: tau. The paper does not give it.
        negatives: Hard negatives per query (stage 2: of its ladder, those that keep most grains first).
        embedding: ``prompt``: ``[RET]`` at the end of a fixed prompt; ``summary``: after a summary.
        summaries: In training, the ``canonical`` summary is given, or the model's own is ``generated`` each time.
        generation: Weight of the loss per token of the canonical summary, kept beside InfoNCE; 0 leaves it out.
        sampling: Balanced negatives, as stage 3 has them, in the place of the ladder's; None leaves them out.
    """

    temperature: float = ranged(0.05, 1e-4)
    negatives: int = ranged(0, 0)
    embedding: Embedding = "prompt"
    summaries: Literal["canonical", "generated"] = "canonical"
    generation: float = ranged(0.0, 0)
    sampling: Sampling | None = None

    @property
    def doubled(self) -> bool:
        """Whether sequences run twice: the generation loss needs the canonical summary beside what is embedded."""
        return bool(self.generation) and (self.embedding == "prompt" or self.summaries == "generated")


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of a rollout, see :mod:`elva.rewards`; defaults are the paper's formula where it has one.

    Attributes:
        alpha: Weight of the margin reward (paper).
        epsilon: Weight of the ranking reward (paper).
        graded: Weight of the graded reward, which the paper does not have.
        listwise: Weight of the listwise reward, which the paper does not have.
        delta: Margin that earns nothing. Not in the paper; 0 pays every lead, so that groups differ more often.
        softness: Of the margin's hinge; 0 is the paper's, which is silent where the model is wrong.
        gamma: Weight of the negatives in the ranking reward. Not in the paper; 1 with ``average`` keeps both terms of
            one order of size.
        average: Mean instead of sum over negatives: a sum over 100 would drown the positive.
        base: Of the logarithm. Not in the paper; e, as in most formulas that write ``log``.
        offset: The 1 in ``log k - 1``.
        floor: Negatives of the first ranks earn nothing instead of being paid for similarity.
        joint: Ranks of negatives count the positive, as the paper's ``k != r`` reads.
        rank_temperature: Above 0 the ranks have a gradient too (``pathwise``); 0 leaves them constant.
        graded_temperature: Lead at which a pair of the graded reward is half decided.
        listwise_temperature: tau of the listwise reward.
        in_batch: Candidates of the step's other queries are negatives of the listwise reward too, but for those that
            answer the query as well.
    """

    alpha: float = ranged(0.4, 0)
    epsilon: float = ranged(0.6, 0)
    graded: float = ranged(0.0, 0)
    listwise: float = ranged(0.0, 0)
    delta: float = ranged(0.0, 0, 2)
    softness: float = ranged(0.0, 0)
    gamma: float = ranged(1.0, 0)
    average: bool = True
    base: float = ranged(2.718281828459045, 1.0001)
    offset: float = ranged(1.0, 0)
    floor: bool = False
    joint: bool = True
    rank_temperature: float = ranged(0.0, 0)
    graded_temperature: float = ranged(0.05, 0)
    listwise_temperature: float = ranged(0.05, 1e-4)
    in_batch: bool = False


@dataclass(frozen=True, slots=True)
class Reinforcement(Optimiser):
    """Stage 3: GRPO on rollouts of query, positive and negatives.

    Attributes:
        rollouts: Size of a group, G (paper: 8).
        gradient: ``score``: token policy gradient; ``pathwise``: the reward's own gradient through the
            embeddings; ``both``.
        beta: Weight of the KL divergence to the reference (paper: 0.2).
        clip_ratio: The importance ratio is clipped to 1 +- this.
        updates: Updates with one batch of rollouts; from the second on the ratio leaves 1.
        temperature: Of sampling.
        normalise: Advantages are divided by the standard deviation of their group.
        pathwise: Weight of the reward's own gradient, in ``pathwise`` and ``both``.
        credit: ``joint``: query, positive and negatives of one rollout share its reward (paper); ``own``: each is
            credited with the mean reward over the other rollouts of its query, which has less noise.
        policy: Plug-in mode only: what is drawn around an embedding, see :mod:`elva.policy`.
        spread: Plug-in mode only: about the angle between a draw and its embedding, in radians.
        patience: Steps in a row in which no group had differing rewards before training stops with an error.
        reward: The reward.
        sampling: The negatives.
    """

    rollouts: int = ranged(8, 1)
    gradient: Literal["score", "pathwise", "both"] = "score"
    beta: float = ranged(0.2, 0)
    clip_ratio: float = ranged(0.2, 0, 1)
    updates: int = ranged(1, 1)
    temperature: float = ranged(1.0, 1e-3)
    normalise: bool = True
    pathwise: float = ranged(1.0, 0)
    credit: Literal["joint", "own"] = "joint"
    policy: Literal["gaussian", "fisher"] = "gaussian"
    spread: float = ranged(0.2, 1e-3)
    patience: int = ranged(20, 1)
    reward: Reward = field(default_factory=Reward)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run.

    Attributes:
        name: What it is called.
        seed: Decides every random choice.
        base: Folder or hub id of a Qwen2-VL kind of model; None builds ``architecture``.
        architecture: A small model to build from nothing.
        dtype: Number format of frozen weights. Adapters and their optimiser are float32.
        gradient_checkpointing: Trade time for memory.
        max_pixels: Larger pictures are scaled down to about this many pixels.
        max_summary: Most tokens of a summary.
        samples: A trained model embeds an input by the mean over so many sampled summaries; 1 takes the likeliest.
        prompt: What stands around an input.
        lora: The adapters.
        stage0: Generative pre-training; None leaves it out.
        stage1: Language-only contrastive pre-training.
        stage2: Instruction tuning.
        stage3: Reinforcement learning.
    """

    name: str
    seed: int = ranged(0, 0)
    base: str | None = None
    architecture: Architecture | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    max_pixels: int = ranged(1280 * 28 * 28, 256)
    max_summary: int = ranged(32, 1)
    samples: int = ranged(1, 1)
    prompt: Prompt = field(default_factory=Prompt)
    lora: Lora = field(default_factory=Lora)
    stage0: Pretraining | None = None
    stage1: Contrastive | None = None
    stage2: Contrastive | None = None
    stage3: Reinforcement | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over all settings: two runs with one digest do the same."""
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()

    def stages(self) -> tuple[int, ...]:
        """The stages that the recipe has."""
        return tuple(n for n in range(4) if getattr(self, f"stage{n}") is not None)
