"""The roles of people and hands in emojis, by code point, in words that fit after "who is".

Unicode's names cannot be used as they are: "woman running: dark skin tone" is not a sentence. Roles that people cannot
tell apart in both artists' drawings are left out: pouting (a frown), breast-feeding
(feeding a baby), mountain biking (biking), older people (white hair), boys and girls, palms up or down, open hands,
the back of a hand, an ear without and a leg with a foot, families, and people of whom hardly any skin
is drawn (in bed, in a bath, in a suit in the air, on a snowboard, on a horse, a ninja).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["person", "portrait", "pair", "hands", "thing", "object"]

MAN, WOMAN, PERSON = "1f468", "1f469", "1f9d1"
GENDERS = {MAN: "man", WOMAN: "woman", "2642": "man", "2640": "woman"}
PAIR_GENDERS = {(MAN, MAN): "two men", (WOMAN, WOMAN): "two women", (WOMAN, MAN): "woman and man"}
TONES = {"1f3fb": "light", "1f3fc": "medium-light", "1f3fd": "medium", "1f3fe": "medium-dark", "1f3ff": "dark"}
HAIR = {"+1f9b0": "red", "+1f9b1": "curly", "+1f9b3": "white", "+1f9b2": "bald", "1f471": "blond", "1f9d4": "beard"}
# The artists draw these hair colours for other hair too (curly hair is red, a beard is blond), so they are no grain.
SAME_AS_DEFAULT = {("red", None), ("blond", None), ("blond", "medium-light"), ("red", "medium")}


@dataclass(frozen=True, slots=True)
class Role:
    """A value of the grain type ``role``, the words that state it, and the kind of subject that has it."""

    value: str
    words: str
    kind: Kind = "person"


def with_article(noun: str) -> str:
    """Return a noun with "a" or "an" before it.

    >>> with_article("artist"), with_article("unicorn")
    ('an artist', 'a unicorn')
    """
    vowel = noun[0].lower() in "aeiou" and not noun.startswith(("uni", "uku"))
    return f"{'an' if vowel else 'a'} {noun}"


# A plus sign: a person joined to this object; without it, an emoji of its own.
_WORK = {
    "+1f3a8": "artist",
    "+1f680": "astronaut",
    "+1f373": "cook",
    "+1f3ed": "factory worker",
    "+1f33e": "farmer",
    "+1f692": "firefighter",
    "+2695": "health worker",
    "+2696": "judge",
    "+1f527": "mechanic",
    "+1f4bc": "office worker",
    "+2708": "pilot",
    "+1f52c": "scientist",
    "+1f3a4": "singer",
    "+1f3eb": "teacher",
    "+1f4bb": "programmer",
    "1f477": "construction worker",
    "1f575": "detective",
    "1f482": "guard",
    "1f46e": "police officer",
}
_BEING = {
    "+1f393": "student",
    "+1fa70": "ballet dancer",
    "1f9dd": "elf",
    "1f9da": "fairy",
    "1f9d9": "mage",
    "1f9dc": "merperson",
    "1f9b8": "superhero",
    "1f9b9": "supervillain",
    "1f9db": "vampire",
    "1f9de": "genie",
    "1f9df": "zombie",
}
_DOING = {
    "1f3c3": "running",
    "1f6b6": "walking with free hands",
    "1f9ce": "kneeling",
    "+1f9bd": "sitting in a manual wheelchair",
    "+1f9bc": "sitting in a motorized wheelchair",
    "+1f9af": "walking with a white cane",
    "+1f384": "dressed as Santa Claus",
    "1fac5": "wearing a crown",
    "1fac4": "pregnant",
    "1f483": "dancing",
    "1f9d5": "wearing a headscarf",
    "1f473": "wearing a turban",
    "1f472": "wearing a skullcap",
    "1f935": "wearing a tuxedo",
    "1f470": "wearing a bridal veil",
    "+1f37c": "feeding a baby",
    "1f9cf": "deaf",
    "1f6b4": "riding a bicycle",
    "26f9": "bouncing a ball",
    "1f647": "bowing",
    "1f938": "turning a cartwheel",
    "1f9d7": "climbing",
    "1f926": "covering the face with one hand",
    "1f64d": "frowning",
    "1f645": "crossing the arms to say no",
    "1f646": "raising the arms in a circle to say OK",
    "1f487": "getting a haircut",
    "1f486": "getting a massage",
    "1f3cc": "playing golf",
    "1f9d8": "sitting in the lotus position",
    "1f9d6": "sitting in a steam room",
    "1f939": "juggling",
    "1f3cb": "lifting weights",
    "1f93e": "playing handball",
    "1f93d": "playing water polo",
    "1f64b": "raising one hand",
    "1f6a3": "rowing a boat",
    "1f937": "shrugging",
    "1f9cd": "standing",
    "1f3c4": "surfing",
    "1f3ca": "swimming",
    "1f481": "holding out one hand, palm up",
    "1f93a": "fencing",
    "26f7": "skiing",
}
_THINGS = {
    "1f476": "a baby",
    "1f47c": "a baby angel",
    "1f9d2": "a child",
    "1f44c": "an OK hand sign",
    "1f448": "an outstretched index finger",
    "1f919": "a call-me hand sign",
    "1f44f": "a pair of clapping hands",
    "1f91e": "a hand with crossed fingers",
    "1f9bb": "an ear with a hearing aid",
    "1f4aa": "a flexed biceps",
    "1f64f": "a pair of folded hands",
    "1f9b6": "a foot",
    "1faf0": "a hand with thumb and index finger crossed",
    "1faf6": "a pair of hands forming a heart",
    "1faf5": "a finger pointing at the viewer",
    "1f91b": "a fist held sideways",
    "1faf2": "a hand stretched out sideways",
    "1faf7": "a pushing hand",
    "1f91f": "a love-you hand sign",
    "1f485": "a hand getting its nails painted",
    "1f443": "a nose",
    "1f44a": "a fist coming at the viewer",
    "1f90c": "a hand with pinched fingers",
    "270a": "a raised fist",
    "270b": "a raised open hand",
    "1f64c": "a pair of raised hands",
    "1f933": "a hand taking a selfie",
    "1f918": "a sign of the horns",
    "1f44e": "a thumbs-down",
    "1f44d": "a thumbs-up",
    "270c": "a victory hand sign",
    "1f596": "a Vulcan salute",
    "1f44b": "a waving hand",
    "270d": "a writing hand",
}
_PAIRS = {
    "1f91d": "holding hands",
    "2764": "in love",
    "2764-200d-1f48b": "kissing",
    "1f93c": "wrestling",
    "1f46f": "wearing bunny ears",
}


def _without_article(words: str) -> str:
    return words.split(" ", 1)[1]


ROLES: dict[str, Role] = {
    **{key: Role(noun, f"working as {with_article(noun)}") for key, noun in _WORK.items()},
    **{key: Role(noun, with_article(noun)) for key, noun in _BEING.items()},
    **{key: Role(words, words) for key, words in _DOING.items()},
    **{key: Role(_without_article(words), words, "thing") for key, words in _THINGS.items()},
}
PAIR_ROLES: dict[str, Role] = {key: Role(words, words, "pair") for key, words in _PAIRS.items()}
HANDSHAKE = Role("shaking hands", "in a handshake", "hands")
BY_VALUE: dict[str, Role] = {role.value: role for role in (*ROLES.values(), *PAIR_ROLES.values(), HANDSHAKE)}

FACING_LEFT = {"1f3c3", "1f6b6", "1f9ce", "+1f9bd", "+1f9bc", "+1f9af"}
"""People whom both artists draw facing left, and of whom there is a twin that faces right."""

# One emoji of its own for a gender or a direction: (key of the role, its further grains).
OWN: dict[str, tuple[str, dict[str, str]]] = {
    "1f385": ("+1f384", {"gender": "man"}),
    "1f936": ("+1f384", {"gender": "woman"}),
    "1f934": ("1fac5", {"gender": "man"}),
    "1f478": ("1fac5", {"gender": "woman"}),
    "1fac3": ("1fac4", {"gender": "man"}),
    "1f930": ("1fac4", {"gender": "woman"}),
    "1f57a": ("1f483", {"gender": "man"}),
    "1f483": ("1f483", {"gender": "woman"}),
    "1f9d5": ("1f9d5", {"gender": "woman"}),
    "1f448": ("1f448", {"direction": "left"}),
    "1f449": ("1f448", {"direction": "right"}),
    "1f446": ("1f448", {"direction": "up"}),
    "1f447": ("1f448", {"direction": "down"}),
    "1f91b": ("1f91b", {"direction": "left"}),
    "1f91c": ("1f91b", {"direction": "right"}),
    "1faf2": ("1faf2", {"direction": "left"}),
    "1faf1": ("1faf2", {"direction": "right"}),
    "1faf7": ("1faf7", {"direction": "left"}),
    "1faf8": ("1faf7", {"direction": "right"}),
}
OWN_PAIRS: dict[str, tuple[str, str | None]] = {
    "1f46b": ("1f91d", "woman and man"),
    "1f46c": ("1f91d", "two men"),
    "1f46d": ("1f91d", "two women"),
    "1f491": ("2764", None),
    "1f48f": ("2764-200d-1f48b", None),
    "1f93c": ("1f93c", None),
    "1f46f": ("1f46f", None),
    "1f93c-200d-2642": ("1f93c", "two men"),
    "1f93c-200d-2640": ("1f93c", "two women"),
    "1f46f-200d-2642": ("1f46f", "two men"),
    "1f46f-200d-2640": ("1f46f", "two women"),
}
# The joints of explicit pairs that are not the key of their role.
JOINTS = {"1f430": "1f46f", "1faef": "1f93c"}

OBJECT_BLOCKS: tuple[tuple[int, int], ...] = (
    (0x1F32D, 0x1F393),
    (0x1F399, 0x1F3F0),
    (0x1F400, 0x1F43F),
    (0x1F451, 0x1F462),
    (0x1F484, 0x1F4FF),
    (0x1F526, 0x1F52E),
    (0x1F56F, 0x1F5FF),
    (0x1F680, 0x1F6FF),
    (0x1F900, 0x1FACF),
    (0x231A, 0x27BF),
)
"""The Unicode blocks of animals, plants, food, buildings, vehicles and things, with some signs among them."""

# Signs, faces, scenes without a name of their own, and nouns that take no "a": not worth a sentence.
NOT_AN_OBJECT = (
    r"\b(?:face|button|arrow|symbol|sign|heart|square|circle|flag|mark|men|women|man|woman|room|control|prohibited|potable"
    r"|water closet|shower|no|entry|one|loop|level|yen|currency|star|monkey|map|baggage|luggage|decoration|cross"
    r"|medical|chart|check|anger|troll|mouth|tongue|tooth|eye|nose|hairy|light|mobile phone|bust|wedding|placard|dollar"
    r"|euro|pound|curry|cooking|ceremony|mode|construction|receipt|litter|crossing|pedestrian|hot|amulet|place|cloud"
    r"|splatter|antenna|disk|envelope|mail|divide|plus|minus|multiply|om|sun|hole|dizzy|droplet|collision|speech"
    r"|balloon|bubble|desert|park|horn|performing|film|wave|radioactive|biohazard|warning|voltage|infinity|camping"
    r"|laughing|exploding|restroom|landslide|yin yang|dharma|departure|arrival|done|speaking|asterisk|sparkle|hindu"
    r"|khanda|shinto|mount|framed|identification|badge|battery|diamond|x-ray|motorway|moon)\b"
)
UNCOUNTED = (
    r"(?:(?<![su])s|[^aeiou]us|bread|bacon|broccoli|garlic|ice|spaghetti|popcorn|sushi|corn|soap|yarn|butter|food|candy"
    r"|coral|fire|milk|sake|salt|thread|wood|hockey|bowling|baseball|softball|football|badminton|game|ping pong"
    r"|lacrosse|root|ewe|dango|oden|falafel|tree|poo|dna|fondue|salad|cinema|dvd|green|mate)"
)
