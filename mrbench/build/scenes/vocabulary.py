"""The vocabulary of scenes: nouns with their art, counts, sizes, relations, backgrounds, and the frames of a scene.

Nouns were chosen by looking at both artists' drawings: everything here is recognisable in both hands, and no two
are alike. The focus of a scene and its landmark come from disjoint lists, so the roles are never confused.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNT, SIZE, ENTITY, RELATION, SECOND, BACKGROUND = TYPES = (
    "count",
    "size",
    "entity",
    "relation",
    "second entity",
    "background",
)
COUNTS = ("one", "two", "three", "four")
SIZES = ("small", "large")
RELATIONS = ("left of", "right of", "above", "below")
Scene = dict[str, str]  # value by grain type, in the order of TYPES
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing that can be drawn.

    Attributes:
        emoji: The emoji whose art shows it.
        name: Its singular, which is also the value of the grain.
        plural: Its plural.
        kind: The singular and plural of what it is in general, such as ``animal`` and ``animals``.
    """

    emoji: str
    name: str
    plural: str
    kind: tuple[str, str]

    @property
    def article(self) -> str:
        """Its indefinite article, ``a`` or ``an``."""
        return article(self.name)


def article(words: str) -> str:
    """Return the indefinite article of a phrase of our vocabulary.

    >>> article("owl"), article("unicorn"), article("large owl")
    ('an', 'a', 'a')
    """
    return "an" if words[0] in "aeiou" and not words.startswith("uni") else "a"


def _nouns(kind: tuple[str, str], table: str) -> dict[str, Noun]:
    """Return the nouns of ``emoji singular[/plural]`` items, separated by commas; the default plural adds an s."""
    nouns = {}
    for item in table.replace("\n", " ").split(","):
        emoji, _, words = item.strip().partition(" ")
        name, _, plural = words.partition("/")
        nouns[name] = Noun(emoji, name, plural or name + "s", kind)
    return nouns


ENTITIES: dict[str, Noun] = {
    **_nouns(
        ("animal", "animals"),
        """🐶 dog, 🐱 cat, 🐎 horse, 🐖 pig, 🐄 cow, 🐑 sheep/sheep, 🐘 elephant, 🦒 giraffe, 🦓 zebra, 🦏 rhino,
        🐪 camel, 🦘 kangaroo, 🐒 monkey, 🦍 gorilla, 🐅 tiger, 🦁 lion, 🐻 bear, 🐼 panda, 🐇 rabbit,
        🐿️ squirrel, 🦔 hedgehog, 🐁 mouse/mice, 🐢 turtle, 🐍 snake, 🐊 crocodile, 🐸 frog, 🐳 whale,
        🐟 fish/fish, 🦈 shark, 🐙 octopus/octopuses, 🦀 crab, 🦞 lobster, 🐌 snail,
        🦋 butterfly/butterflies, 🐝 bee, 🐞 ladybird, 🕷️ spider, 🐛 caterpillar, 🐓 rooster, 🐥 chick,
        🐧 penguin, 🦆 duck, 🦉 owl, 🦩 flamingo, 🦚 peacock, 🦜 parrot, 🦢 swan, 🦇 bat, 🦥 sloth, 🦨 skunk,
        🦝 raccoon, 🐨 koala, 🦌 deer/deer, 🦖 dinosaur, 🦭 seal, 🪼 jellyfish/jellyfish""",
    ),
    **_nouns(
        ("person", "people"),
        """🧑‍🍳 cook, 🧑‍🌾 farmer, 🧑‍🚒 firefighter, 👮 police officer, 🧙 wizard, 🥷 ninja, 💂 royal guard,
        🧛 vampire, 🧑‍🎨 painter, 🤠 cowboy""",
    ),
    **_nouns(("figure", "figures"), "🤖 robot, 👽 alien, 👻 ghost, 🤡 clown"),
    **_nouns(
        ("vehicle", "vehicles"),
        """🚗 car, 🚌 bus/buses, 🚜 tractor, 🏎️ racing car, 🏍️ motorcycle, 🚲 bicycle, 🚂 steam engine,
        🚁 helicopter, ✈️ aeroplane, 🚀 rocket, ⛵ sailing boat, 🚢 ship, 🛶 canoe, 🚑 ambulance,
        🛸 flying saucer, 🛴 kick scooter, 🛷 sledge, 🦽 wheelchair""",
    ),
    **_nouns(
        ("item of food", "items of food"),
        """🍎 apple, 🍌 banana, 🍇 bunch of grapes/bunches of grapes, 🍓 strawberry/strawberries,
        🍉 slice of melon/slices of melon, 🍍 pineapple, 🍋 lemon, 🍊 orange, 🍐 pear, 🥑 avocado,
        🥕 carrot, 🍄 mushroom, 🍆 aubergine, 🌶️ chilli pepper, 🥐 croissant, 🥨 pretzel,
        🧀 piece of cheese/pieces of cheese, 🍔 hamburger, 🍕 slice of pizza/slices of pizza,
        🌭 hot dog, 🍟 box of fries/boxes of fries, 🍳 fried egg, 🍦 ice cream, 🍩 doughnut, 🍪 cookie,
        🎂 birthday cake, 🧁 cupcake, 🍭 lollipop, 🌮 taco, 🥪 sandwich/sandwiches,
        🥞 stack of pancakes/stacks of pancakes""",
    ),
    **_nouns(
        ("drink", "drinks"),
        "☕ cup of coffee/cups of coffee, 🍺 mug of beer/mugs of beer, 🍷 glass of wine/glasses of wine",
    ),
}

LANDMARKS: dict[str, Noun] = _nouns(
    ("landmark", "landmarks"),
    """🌲 fir tree, 🌳 leafy tree, 🌴 palm tree, 🌵 cactus, 🌻 sunflower, 🌹 rose, 🪴 potted plant,
    🏰 castle, 🏠 house, 🏥 hospital, 🏭 factory, ⛪ church, 🕌 mosque, 🗼 tower, ⛲ fountain, ⛺ tent,
    🎪 circus tent, 🎡 Ferris wheel, 🏛️ Greek temple, 🛖 hut, ⛩️ shrine gate, 🪑 chair, 🛏️ bed,
    🛁 bathtub, 🚪 door, 🪟 window, 📺 television, ⏰ alarm clock, 🎹 piano keyboard, 🎸 guitar,
    🥁 drum, 🎷 saxophone, ☂️ umbrella, 🎁 present, 🎈 balloon, 📦 cardboard box, 🧺 basket, 🪣 bucket,
    📚 stack of books, 🔭 telescope, 🔬 microscope, 💡 light bulb, 🕯️ candle, 🔔 bell, 🏆 trophy,
    ⚽ football, 🏀 basketball, 🎯 dartboard, 🎃 pumpkin lantern, ⚓ anchor, 🚦 traffic light,
    🛑 stop sign, 🪜 ladder, 🎒 rucksack, 👑 crown, 🎩 top hat, 👢 boot, 🔑 key, 🧲 magnet, 🪁 kite,
    ☎️ telephone, 📷 camera, 🌋 volcano, ⛄ snowman, 🛒 shopping trolley, 🧯 fire extinguisher,
    🧳 suitcase, ✂️ pair of scissors, 💎 diamond, 🏺 vase, 📮 postbox, 🛡️ shield,
    🎧 pair of headphones, 👠 high-heeled shoe, 🔒 padlock""",
)

# Where a scene takes place: the value, then the words of queries, and other words for candidates.
BACKGROUNDS: dict[str, tuple[str, str]] = {
    "beach": ("on the beach", "on a sandy beach by the sea"),
    "desert": ("in the desert", "among the dunes of a desert"),
    "snow": ("in the snow", "on a snowy day"),
    "meadow": ("on a green meadow", "on the grass"),
    "night": ("at night", "under the stars and the moon"),
    "sunset": ("at sunset", "with the sun going down"),
    "rain": ("in the rain", "on a rainy day"),
    "mountains": ("in the mountains", "with mountains behind"),
    "under water": ("under water", "at the bottom of the sea"),
    "moon": ("on the moon", "on the surface of the moon"),
    "rainbow": ("under a rainbow", "with a rainbow in the sky"),
    "stage": ("on a stage", "between the red curtains of a theatre"),
    "room": ("in a room", "on the wooden floor of a room"),
    "road": ("on a road", "on a grey street"),
}

# Which grain types occur together in a scene, and how often.
FRAMES: tuple[tuple[str, ...], ...] = (
    (COUNT, ENTITY),
    (COUNT, ENTITY, BACKGROUND),
    (COUNT, SIZE, ENTITY),
    (COUNT, SIZE, ENTITY, BACKGROUND),
    (COUNT, ENTITY, RELATION, SECOND),
    (COUNT, ENTITY, RELATION, SECOND, BACKGROUND),
    (COUNT, SIZE, ENTITY, RELATION, SECOND),
    TYPES,
)
QUERY_WEIGHTS = (5, 5, 5, 5, 15, 12.5, 12.5, 40)
FILL_WEIGHTS = (1, 2, 2, 4, 11, 20, 20, 40)
VALUES: dict[str, tuple[str, ...]] = {
    COUNT: COUNTS,
    SIZE: SIZES,
    ENTITY: tuple(ENTITIES),
    RELATION: RELATIONS,
    SECOND: tuple(LANDMARKS),
    BACKGROUND: tuple(BACKGROUNDS),
}
