"""The emoji suite: people and hands by two independent artists.

Queries show OpenMoji's drawings and candidates Twemoji's, so no query picture is in the corpus; queries and candidates
are worded in different styles, so no query text is in it either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mrbench.benchmark import Manifest, write_benchmark
from mrbench.build import art
from mrbench.build.emoji.plan import Planner
from mrbench.build.emoji.world import World, draw, make_world
from mrbench.build.splits import Shares, SplitLedger
from mrbench.build.suite import write_split
from mrbench.errors import InputError
from mrbench.records import SPLITS
from mrbench.workers import worker_pool

__all__ = ["EmojiConfig", "build_emoji"]

VERSION = 1
TITLE = "MRBench emoji: people art by two artists"


@dataclass(frozen=True)
class EmojiConfig:
    """The options of the suite: sizes and splits.

    Attributes:
        size: Side of every picture, in pixels, 32 to 1024.
        train_queries: Most queries per task of the training split.
        validation_queries: Most queries per task of the validation split.
        test_queries: Most queries per task of the test split.
        splits: Splits to write.
        train: Share of the grain combinations in the training split.
        validation: Share in the validation split.
        test: Share in the test split. The three sum to 1.
        random_negatives: Random candidates in a ladder, 0 to 50.
        pool: Test candidates per modality, ladders included; None takes all.
        distractors: Whether the pool also holds animals, food and things.
        max_positives: Most pictures that may be relevant to a text.

    Raises:
        InputError: A value is out of range; all of them are named at once.
    """

    size: int = 224
    train_queries: int = 1000
    validation_queries: int = 100
    test_queries: int = 250
    splits: tuple[str, ...] = SPLITS
    train: float = 0.25
    validation: float = 0.20
    test: float = 0.55
    random_negatives: int = 5
    pool: int | None = None
    distractors: bool = True
    max_positives: int = 5

    def __post_init__(self) -> None:
        ranges = {
            "size": (32, 1024),
            "train_queries": (1, 1_000_000),
            "validation_queries": (1, 1_000_000),
            "test_queries": (1, 1_000_000),
            "random_negatives": (0, 50),
            "max_positives": (1, 1_000),
            "pool": (1, 1_000_000),
        }
        wrong = []
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (name == "pool" and value is None) and (type(value) is not int or not low <= value <= high):
                wrong.append(f"{name}={value!r} (accepted: {low} to {high})")
        if not self.splits or len(set(self.splits)) < len(self.splits) or not set(self.splits) <= set(SPLITS):
            wrong.append(f"splits={self.splits!r} (accepted: some of {', '.join(SPLITS)}, each once)")
        if wrong:
            got, hint = "; ".join(wrong), "mrbench build emoji --help"
            raise InputError("malformed configuration of the emoji suite", where="EmojiConfig", got=got, hint=hint)
        self.shares  # noqa: B018  (the shares check themselves)

    @property
    def shares(self) -> Shares:
        """The split shares."""
        return Shares(self.train, self.validation, self.test)


def build_emoji(
    output: Path, config: EmojiConfig, *, seed: int = 0, workers: int = 2, overwrite: bool = False
) -> Manifest:
    """Build the emoji suite into a folder.

    The bytes depend on the configuration, the seed and the versions of the art alone.

    Args:
        output: Folder to write; it appears when everything is in it.
        workers: Processes that draw; 1 draws in this process.
        overwrite: Whether a benchmark that is there may be replaced.

    Returns:
        The manifest, as written.

    Raises:
        OutputError: The folder may not be replaced or written.
        MissingExtraError: The art is not installed.
    """
    ledger = SplitLedger(config.shares)
    with write_benchmark(output, overwrite=overwrite) as writer, worker_pool(workers) as pool:
        world = make_world(config.distractors, pool)
        for split in (split for split in SPLITS if split in config.splits):
            planner = Planner(world, world.part(split, config.shares), config, split, seed)
            plan = planner.plan(getattr(config, f"{split}_queries"))
            write_split(writer, plan, draw, ledger, seed=seed, workers=pool)
        measured = _measured(world)
        return writer.finish(
            name="emoji",
            title=TITLE,
            builder={
                "name": "emoji",
                "version": VERSION,
                "config": {**asdict(config), "splits": list(config.splits)},
                "measured": measured,
                "cluster_grain": "role",
            },
            seed=seed,
            tools=art.tools(),
            sources=art.sources(),
            licence="CC-BY-SA-4.0",
            split_rule=ledger.rule(),
            description=_DESCRIPTION.format(**measured),
        )


def _measured(world: World) -> dict[str, Any]:
    everyone = len(world.described)
    return {
        "combinations": everyone,
        "distractors": len(world.things),
        "left_out_of_the_corpus_as_look_alikes": everyone - len(world.drawn),
        "never_shown_by_a_query_as_look_alikes": everyone - len(world.shown),
    }


_DESCRIPTION = """\
People and hands as two independent artists drew them, from {combinations:,} emojis whose grains can be said: role (what
somebody does or is), gender, skin tone (of two people the left one's, and as a type of its own the right one's), hair,
and the direction somebody faces. Four tasks: text to image, image to text, image to image, and image with text to
image, where the text says only what is to be different. Each query comes with a ladder: the candidate it asks for, for
each grain one that differs in this grain alone, then two grains off, three, and so on, and random ones.

- **Pictures.** Queries show OpenMoji's drawings, the corpus holds Twemoji's: image to image asks for the same depiction
  in the other artist's hand. Further candidates are {distractors:,} animals, foods and things, over all splits.
- **Sentences** are written from the grains, in three styles for queries and three others for candidates.
- **Absent grains.** A person drawn without a gender has no grain of that type, and the default yellow is no skin tone.
  A text asks for what it says and no more: a picture that shows it all and more is relevant.
- **Variants of a query.** Without one of its grains; with another value of it (texts: every grain, pictures: one in
  turn), asking for the neighbour in the ladder; in other words, or the same drawing a little smaller and moved.
- **Look-alikes.** All drawings of an artist are compared at 32 x 32 pixels.
  {left_out_of_the_corpus_as_look_alikes:,} of Twemoji's look like another one with other grains
  and are left out of the corpus; {never_shown_by_a_query_as_look_alikes:,} of OpenMoji's are never the
  picture of a query.
- **Balance.** Activities outnumber all else by far, so queries are chosen to keep the grain types even, and the changes
  that texts ask for go through the types in turn.

## Gender and skin tone

They are sensitive attributes of people. Here they are what the artists drew and what Unicode's names call it; nothing
is inferred about any real person, and none is shown. They are reported as grain types among others, because a model
that mixes them up, or attends to nothing else, should be seen to do so. The data is for evaluating retrieval. It is
not for training or testing anything that guesses the gender or the origin of people.

## Known limits

- Only two genders are named, as in Unicode, and five skin tones. OpenMoji draws many men just like the neutral person;
  such pictures ask no question, so there are more women than men in the pictures of queries.
- A neutral person counts as not showing the gender asked for, though a viewer may see one.
- Who is a child, old, or in a family is left out, as is what the two artists draw in different ways.
- The pictures are flat drawings on white; success on them says little about photographs.
"""
