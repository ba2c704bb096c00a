"""Closed lists of words that captions use for counts, groups, places, prepositions and attributes."""

# ruff: noqa: SIM905 - lists of words are easier to read and edit as text
from __future__ import annotations

NUMBERS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "lone": 1, "solitary": 1, "solo": 1, "two": 2, "both": 2, "three": 3,
    "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "twenty": 20, "thirty": 30, "dozen": 12,
}  # fmt: skip
"""Words for exact counts. An article is a count only where the judge compares it with another count."""

SEVERAL = frozenset(
    "several many multiple various numerous some few lots lot plenty bunch group groups herd flock pack crowd team "
    "collection array variety assortment number row rows pile piles stack stacks line cluster gathering gang family "
    "fleet set swarm copse bundle series host flocks herds bunches crowds".split()
)
"""Words for an open count of two or more."""

GROUP_NOUNS = frozenset(
    "group herd flock pack crowd team bunch collection array variety assortment number row pile stack line cluster "
    "gang fleet swarm lot lots plenty couple pair trio duo dozen handful copse series host mixture type kind sort form "
    "set bundle mob selection display gaggle gathering range mix".split()
)
"""Heads of "X of NOUN" that count the noun and are not things themselves."""

GROUP_COUNTS = {"couple": "2", "pair": "2", "duo": "2", "trio": "3", "dozen": "12"}

PART_NOUNS = frozenset("slice piece bit chunk portion".split())
"""Heads of "X of NOUN" that are a part of the noun: the noun is the entity."""

PICTURE_NOUNS = frozenset(
    "view picture photo photograph image shot close closeup close-up up depiction scene portrait snapshot "
    "illustration sight perspective angle".split()
)
"""Heads of "X of NOUN" that speak of the photo, not of what is in it."""

PLACE_NOUNS = frozenset(
    "front top side back middle center centre edge bottom background foreground distance rear end corner left right "
    "inside outside base midst air way part half row line rows lines".split()
)
"""Nouns that are part of a preposition ("on top of") or a place without a thing ("in the background")."""

PREPOSITIONS = {
    "to the left of": "left", "on the left of": "left", "to the right of": "right", "on the right of": "right",
    "on": "on", "atop": "on", "upon": "on", "onto": "on", "on top of": "on", "aboard": "on", "on the side of": "beside",
    "on the edge of": "on", "on the back of": "on", "in": "in", "inside": "in", "within": "in", "into": "in",
    "inside of": "in", "in the middle of": "in", "amid": "in", "amidst": "in", "among": "in", "amongst": "in",
    "in the center of": "in", "in the midst of": "in", "at": "at", "next to": "beside", "beside": "beside",
    "near": "beside", "by": "beside", "close to": "beside", "alongside": "beside", "adjacent to": "beside",
    "besides": "beside", "along side": "beside", "next": "beside", "nearby": "beside", "near to": "beside",
    "in proximity to": "beside", "beside of": "beside", "along": "along", "with": "with", "along with": "with",
    "together with": "with", "accompanied by": "with", "without": "without", "under": "under", "below": "under",
    "beneath": "under", "underneath": "under", "over": "over", "above": "over", "behind": "behind",
    "in back of": "behind", "in front of": "front", "in the front of": "front", "at the front of": "front",
    "before": "front", "ahead of": "front", "between": "between", "in between": "between", "against": "against",
    "through": "through", "across": "across", "around": "around", "outside": "outside", "outside of": "outside",
    "out of": "out of", "off": "off", "off of": "off", "far from": "far", "away from": "away", "far away from": "far",
    "across from": "opposite", "opposite": "opposite", "opposite of": "opposite", "toward": "toward",
    "towards": "toward", "to": "to", "from": "from", "down": "down", "up": "up", "past": "past", "for": "for",
    "of": "of", "at the top of": "on", "on the top of": "on", "at the end of": "at", "at the side of": "beside",
    "by the side of": "beside", "to the side of": "beside", "at the edge of": "at", "on the front of": "on",
    "beyond": "behind", "throughout": "in", "like": "like", "as": "as", "during": "in",
}  # fmt: skip
"""Prepositions, of one or several words, to the relation that they state."""

INVERSE = {"left": ("right",), "right": ("left",),
           "behind": ("front",), "front": ("behind",), "over": ("under",), "under": ("over", "on", "in"),
           "on": ("under",), "in": ("under", "around")}  # fmt: skip
"""Relations that state the same with subject and object exchanged, besides the symmetric ones."""

PLACES = frozenset({"on", "in", "under", "over", "behind", "front", "beside", "far", "outside", "off", "out of", "away",
                    "opposite", "left", "right"})  # fmt: skip
"""Relations of which a pair has one, but for the pairs of ``COMPATIBLE``."""
COMPATIBLE = frozenset(
    frozenset(pair)
    for pair in (("on", "in"), ("far", "away"), ("off", "out of"), ("beside", "outside"), ("beside", "opposite"),
                 ("far", "opposite"), ("outside", "front"), ("out of", "outside"), ("away", "off"), ("away", "out of"),
                 ("far", "out of"), ("far", "off"), ("far", "outside"), ("far", "behind"), ("beside", "over"),
                 ("left", "beside"), ("right", "beside"), ("left", "on"), ("right", "on"))
)  # fmt: skip
PATHS = frozenset({"through", "across", "down", "along", "up"})
NOT_ON_PATH = frozenset({"beside", "over", "under", "behind", "front", "outside", "far", "away", "off"})
"""Relations that exclude a way through or along the same thing."""

SYMMETRIC = frozenset({"beside", "opposite", "far", "against", "with", "and"})

LIGHT_VERBS = frozenset(
    "be have sit stand lie lay rest position situate locate place park perch feature contain show include hang display "
    "arrange put set stay remain appear seem see picture find present mount seat do get "
    "go come take make use depict consist house occupy visible seated engage accompany".split()
)
"""Verbs that mostly say that something is there; another verb beside one of them is no contradiction by itself."""

VERB_GROUPS = tuple(
    """
    sit seat perch; stand; lie lay recline lounge; kneel squat crouch; sleep nap doze snooze; walk stroll roam wander
    march hike trek saunter amble trot pace; run sprint race jog dash gallop charge; fly soar glide hover airborne;
    swim wade paddle float; jump leap hop bounce; dance; climb scale; fall; spin twirl; look watch observe stare gaze
    view glance peer examine inspect look_on face see; eat graze feed munch chew consume nibble dine bite taste enjoy;
    drink sip; ride; drive; ski; skate skateboard; surf; hold carry grasp grip clutch; wear dress don; play engage
    participate compete; smile grin laugh beam; cry weep; talk speak chat converse communicate discuss; throw toss
    pitch hurl fling; catch; hit swing strike bat; kick; cook prepare make bake fry; cut slice chop carve; gather
    huddle group congregate crowd assemble cluster; surround encircle circle; pull tow drag haul; push shove; arrive
    approach come pull_up; leave depart exit; go travel move head proceed ride drive; read; write; wash clean bathe
    rinse scrub; brush; pet stroke pat; hug embrace cuddle; kiss; open; close shut; fill; empty; cover top; follow
    chase pursue trail; lead guide herd; pose; perform do execute; use operate; place put set position; lean rest;
    hang suspend dangle; turn rotate; cross; pass; wait; work; type; photograph capture shoot film; grow bloom; burn;
    sell; buy purchase shop; serve; fish; sail; park; land; touch; reach; point; lift raise; wave; line arrange;
    display show exhibit present; attempt try; tie attach fasten connect; decorate adorn ornament; stop halt; break;
    build construct; draw paint; sing; yawn; lick; sniff smell
    """.replace("\n", " ").split("; ")
)
"""Verbs of captions by meaning; two verbs of one group say the same."""

HOLDING_VERBS = frozenset(
    "hold support contain surround house carry cover display top bear fill line hang feature have wear show include "
    "decorate serve consist encircle bring enclose keep".split()
)
"""Verbs whose subject has the object in, on or around it: "a vase holds flowers" states "flowers in a vase"."""

BODY_VERBS = frozenset(
    "sit stand lie kneel sleep walk run fly swim jump dance climb fall ski skate surf park drive".split()
)
"""First verbs of the groups that exclude one another: a body has one posture or way of moving at a time."""

OBLIQUE = {
    "look": ("at", "to", "over", "toward", "through"), "stare": ("at",), "gaze": ("at",), "glance": ("at",),
    "smile": ("at",), "point": ("at", "to", "toward"), "bark": ("at",), "swing": ("at",), "wave": ("at", "to"),
    "peer": ("at", "over", "in", "through"), "play": ("with",), "talk": ("to", "with", "on"),
    "speak": ("to", "on", "in"), "reach": ("for", "to"), "pose": ("for", "with"), "wait": ("for",), "prepare": ("for",),
    "listen": ("to",), "feed": ("on",), "graze": ("on",), "chew": ("on",), "throw": ("to",), "engage": ("in", "with"),
    "lean": ("on",), "participate": ("in",), "compete": ("in",), "ride": ("on",), "fill": ("with",),
    "cover": ("with", "in"), "cut": ("in",), "dress": ("in",), "work": ("on",), "flip": ("through",),
    "look on": ("at",), "eat": ("from", "off", "on"), "drink": ("from", "out of"), "top": ("with",),
    "surround": ("with",), "decorate": ("with", "in"), "take": ("of",),
}  # fmt: skip
"""Verbs whose preposition is part of the action: "look at", not "at"."""

COLOURS = {
    "red": "red", "crimson": "red", "scarlet": "red", "maroon": "red", "burgundy": "red", "orange": "orange",
    "yellow": "yellow", "golden": "yellow", "gold": "yellow", "blonde": "blond", "blond": "blond", "green": "green",
    "lime": "green", "olive": "green", "blue": "blue", "navy": "blue", "turquoise": "turquoise", "teal": "turquoise",
    "aqua": "turquoise", "cyan": "turquoise", "purple": "purple", "violet": "purple", "lavender": "purple",
    "lilac": "purple", "pink": "pink", "magenta": "pink", "brown": "brown", "tan": "tan", "beige": "tan",
    "cream": "cream", "ivory": "cream", "black": "black", "white": "white", "gray": "gray", "grey": "gray",
    "silver": "silver", "rainbow": "multicoloured", "colorful": "multicoloured", "colourful": "multicoloured",
    "multicolored": "multicoloured", "multi-colored": "multicoloured", "multicoloured": "multicoloured",
    "tri-colored": "multicoloured", "khaki": "tan", "rose": "pink", "amber": "orange", "auburn": "brown",
    "chocolate": "brown", "whitish": "white", "reddish": "red", "bluish": "blue", "greenish": "green",
    "vibrant": "multicoloured",
}  # fmt: skip

SIZES = {
    "large": "large", "big": "large", "huge": "large", "giant": "large", "enormous": "large", "massive": "large",
    "gigantic": "large", "oversized": "large", "immense": "large", "small": "small", "little": "small", "tiny": "small",
    "mini": "small", "miniature": "small", "petite": "small", "compact": "small", "tall": "tall", "high": "tall",
    "short": "short", "low": "short", "long": "long", "wide": "wide", "broad": "wide", "narrow": "narrow",
    "thick": "thick", "thin": "thin", "slim": "thin", "slender": "thin", "fat": "fat", "chubby": "fat",
    "medium": "medium", "vast": "large", "toddler-sized": "small",
}  # fmt: skip

SIZE_OPPOSITES = (("large", "small"), ("tall", "short"), ("long", "short"), ("wide", "narrow"), ("thick", "thin"),
                  ("fat", "thin"), ("large", "short"), ("tall", "small"), ("large", "thin"), ("large", "narrow"),
                  ("medium", "large"), ("medium", "small"))  # fmt: skip

MATERIALS = {
    "wooden": "wood", "wood": "wood", "metal": "metal", "metallic": "metal", "steel": "metal", "iron": "metal",
    "stainless": "metal", "plastic": "plastic", "glass": "glass", "stone": "stone", "brick": "brick",
    "bricked": "brick", "concrete": "concrete", "cement": "concrete", "leather": "leather", "paper": "paper",
    "cardboard": "cardboard", "marble": "marble", "clay": "clay", "ceramic": "ceramic", "porcelain": "porcelain",
    "granite": "granite", "wicker": "wicker", "cloth": "cloth", "cotton": "cotton", "denim": "denim", "woolen": "wool",
    "wool": "wool", "wooly": "wool", "rubber": "rubber", "straw": "straw", "bamboo": "bamboo", "velvet": "velvet",
    "silk": "silk", "fabric": "cloth", "aluminum": "metal", "copper": "copper", "bronze": "bronze", "tile": "tile",
    "tiled": "tile", "hardwood": "wood", "linoleum": "linoleum", "lace": "lace", "fur": "fur", "adobe": "adobe",
    "wire": "wire",
}  # fmt: skip

AGES = {
    "young": "young", "old": "old", "elderly": "old", "adult": "adult", "teenage": "young", "baby": "baby",
    "new": "new", "aged": "old", "ancient": "old", "antique": "old", "vintage": "old", "modern": "new", "older": "old",
    "younger": "young", "teen": "young", "infant": "baby", "contemporary": "new", "middle-aged": "adult",
    "old-fashioned": "old", "retro": "old", "newborn": "baby", "brand-new": "new", "senior": "old",
}  # fmt: skip

SHAPES = {
    "round": "round", "circular": "round", "square": "square", "rectangular": "rectangular", "oval": "oval",
    "triangular": "triangular", "curved": "curved", "straight": "straight", "flat": "flat", "curvy": "curved",
    "heart-shaped": "heart", "hexagonal": "hexagonal", "oblong": "oval", "bent": "curved", "pointed": "pointed",
    "pointy": "pointed",
}  # fmt: skip

PATTERNS = {
    "striped": "striped", "spotted": "spotted", "plaid": "plaid", "checkered": "checked", "checked": "checked",
    "floral": "floral", "polka": "dotted", "dotted": "dotted", "patterned": "patterned", "flowered": "floral",
    "camouflage": "camouflage", "plain": "plain", "solid": "plain",
}  # fmt: skip

ATTRIBUTE_KINDS = {
    **dict.fromkeys(COLOURS, "colour"),
    **dict.fromkeys(SIZES, "size"),
    **dict.fromkeys(MATERIALS, "material"),
    **dict.fromkeys(AGES, "age"),
    **dict.fromkeys(SHAPES, "shape"),
    **dict.fromkeys(PATTERNS, "pattern"),
}
ATTRIBUTE_VALUES = {**COLOURS, **SIZES, **MATERIALS, **AGES, **SHAPES, **PATTERNS}

IGNORED_MODIFIERS = frozenset(
    "other another same such own next several many few various multiple more most some certain first second "
    "last only much all numerous together both visible able ready color colour colored coloured type kind "
    "lot front back top nearby single double non not never neither".split()
)
"""Modifiers that are no attribute of a thing."""

PEOPLE = frozenset("person people individual human man woman boy girl child kid lady guy adult male female".split())
