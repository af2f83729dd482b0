"""Captions composed from a sample's attributes, in varied words and order. Standard library only.

Words that say nothing about the picture are mixed in at times, so that a prompt may hold any English words.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

WAYS: dict[str, tuple[str, ...]] = {
    "stone brick": ("grey stone brick", "stone bricks", "stone", "stone block"),
    "red brick": ("red bricks", "brick", "red brick wall"),
    "wooden plank": ("wood", "wooden", "timber", "planks of wood"),
    "white plaster": ("whitewashed plaster", "white stucco", "plaster", "whitewashed"),
    "sandstone": ("yellow sandstone", "desert stone", "sandstone block"),
    "neon glass": ("glowing neon", "neon", "cyberpunk neon glass"),
    "rusty metal": ("rusted iron", "rusty", "corroded metal", "corroded steel"),
    "mossy stone": ("moss covered stone", "overgrown stone", "mossy"),
    "candy striped": ("striped candy", "candy", "sweet striped"),
    "ice": ("frozen ice", "icy", "blue ice"),
    "lava rock": ("glowing lava", "lava", "molten lava rock", "volcanic rock"),
    "golden": ("gold", "shiny gold"),
    "grass": ("green grass", "a meadow", "a lawn"),
    "snow": ("deep snow", "white snow", "a snowy plain"),
    "sand": ("desert sand", "dunes", "the desert", "a beach of sand"),
    "asphalt": ("dark asphalt", "tarmac", "a road of asphalt"),
    "dirt": ("brown dirt", "bare earth", "mud"),
    "autumn leaves": ("fallen autumn leaves", "fallen leaves", "orange leaves"),
    "water": ("a lake", "the sea", "dark water"),
    "marble tiles": ("checkered marble", "checkerboard tiles", "a marble floor"),
    "noon": ("midday", "a sunny day", "a clear blue sky"),
    "sunset": ("dusk", "an orange sunset", "golden hour"),
    "overcast": ("an overcast sky", "a cloudy day", "grey clouds"),
    "night": ("midnight", "a dark night", "moonlight"),
    "fog": ("thick fog", "mist", "a foggy day"),
    "dawn": ("sunrise", "early morning", "a pink dawn"),
    "render": ("3d render", "photo", "realistic render", ""),
    "watercolor": ("watercolour painting", "aquarelle", "watercolor painting"),
    "pencil sketch": ("pencil drawing", "sketch", "hand drawn sketch", "black and white pencil sketch"),
}
"""Other words for the values of ``attributes.ATTRIBUTES``."""

THINGS = (
    "castle", "town", "village", "houses", "buildings", "towers", "fortress", "city", "ruins", "walls", "blocks",
    "temple", "street", "architecture",
)  # fmt: skip
FILLERS = (
    "highly detailed", "beautiful", "fantasy", "concept art", "trending", "masterpiece", "cinematic", "sharp focus",
    "wide angle", "game environment", "epic", "old", "medieval", "quiet", "lonely", "tall", "4k", "best quality",
    "intricate", "an establishing shot", "atmospheric", "in a far country", "by a famous artist", "unreal engine",
    "with trees", "level design", "dramatic", "landscape", "in perspective",
)  # fmt: skip
PATTERNS = (
    "a {buildings} {thing} on {ground} at {sky}, {medium}",
    "{medium} of a {buildings} {thing} on {ground}, {sky}",
    "{buildings} {thing}, {ground}, {sky}, {medium}",
    "{buildings} {thing} in {ground} under {sky}, {medium}",
    "{medium}, {sky}, {buildings} {thing}, {ground}",
    "{sky}, {ground}, {buildings}, {medium}",
    "{thing} made of {buildings} standing on {ground}, {sky}, in the style of a {medium}",
    "{buildings}, {ground}, {sky}, {medium}",
    "{buildings} {thing} at {sky} on {ground}, {medium}",
    "{buildings} {thing}, {ground} ground, {sky} sky, {medium}",
)


def compose(attributes: Mapping[str, str], rng: random.Random) -> str:
    """Return one caption for ``attributes`` (keys buildings, ground, sky, medium); ``rng`` chooses among the ways."""
    names = {key: attributes[key] for key in ("buildings", "ground", "sky", "medium")}
    words = {key: name if rng.random() < 0.55 else rng.choice(WAYS[name]) for key, name in names.items()}
    text = rng.choice(PATTERNS).format(thing=rng.choice(THINGS), **words)
    parts = [part for part in text.split(", ") if part]
    if rng.random() < 0.25:
        rng.shuffle(parts)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(FILLERS) if rng.random() < 0.7 else nonsense(rng))
    return ", ".join(parts)


def nonsense(rng: random.Random) -> str:
    """Return a made-up word: a stand-in for all the words that the model has never seen."""
    syllables = (
        "ba",
        "ker",
        "lin",
        "to",
        "mar",
        "ish",
        "vel",
        "on",
        "stra",
        "qui",
        "dro",
        "pen",
        "ly",
        "ful",
        "gra",
        "ti",
    )
    return "".join(rng.choice(syllables) for _ in range(rng.randint(2, 4)))


def plain(attributes: Mapping[str, str]) -> str:
    """Return the one caption that evaluation uses: the attributes' own names in the first order."""
    return "a {buildings} castle on {ground} at {sky}, {medium}".format(**attributes)
