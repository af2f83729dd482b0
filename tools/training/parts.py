"""The parts of a scene of the second generation, what each may be, and captions that name them. No bpy, no torch.

A record of such a sample has, beside sky and medium, ``place`` (a kind of `PLACES`), ``parts`` (part to one of its
`PARTS`) and ``colours`` (part to one of `COLOURS`, for those that are painted). The words of the first generation
are among them: each of its buildings is a wall, each of its grounds a ground.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tools.training.attributes import ATTRIBUTES
from tools.training.captions import FILLERS, WAYS, compose, nonsense

PAINTED = "painted"
Colour = tuple[float, float, float]
COLOURS: dict[str, Colour] = {
    "red": (0.62, 0.06, 0.05),
    "orange": (0.80, 0.28, 0.04),
    "yellow": (0.80, 0.58, 0.10),
    "green": (0.10, 0.38, 0.12),
    "turquoise": (0.06, 0.42, 0.42),
    "blue": (0.06, 0.16, 0.55),
    "purple": (0.28, 0.08, 0.42),
    "pink": (0.80, 0.32, 0.42),
    "white": (0.80, 0.79, 0.76),
    "black": (0.04, 0.04, 0.045),
}
"""Linear RGB of what is painted."""
PARTS: dict[str, tuple[str, ...]] = {
    "walls": (*ATTRIBUTES["buildings"], "timber frame", "concrete", "log", PAINTED),
    "roofs": ("red tile", "slate", "thatch", "wood shingle", PAINTED),
    "windows": ("dark", "lit"),
    "doors": ("wooden", "iron", PAINTED),
    "trees": ("summer", "autumn", "bare", "snowy", "blossoming"),
    "rocks": ("grey", "mossy"),
    "ground": (*ATTRIBUTES["ground"], "cobbles", "gravel", "wet cobbles"),
    "road": ("cobbles", "asphalt", "dirt", "gravel", "wet cobbles"),
    "fences": ("wooden", "iron"),
    "banners": (PAINTED,),
    "floor": ("floorboards", "stone flags", "tiles", "carpet"),
    "inside": ("plaster", "wallpaper", "wood panelling", "stone brick", PAINTED),
    "furniture": ("wooden", PAINTED),
    "lamps": ("lit", "dark"),
    "vehicles": ("car", "cart"),
    "object": (*ATTRIBUTES["buildings"], "concrete", PAINTED),
}
PLACES: dict[str, tuple[str, ...]] = {
    "village": ("walls", "roofs", "windows", "doors", "trees", "rocks", "ground", "road", "fences", "vehicles"),
    "castle": ("walls", "roofs", "windows", "doors", "trees", "rocks", "ground", "banners"),
    "street": ("walls", "roofs", "windows", "doors", "trees", "ground", "road", "banners", "lamps", "vehicles"),
    "city": ("walls", "windows", "trees", "ground", "road", "lamps", "vehicles"),
    "ruins": ("walls", "trees", "rocks", "ground"),
    "room": ("inside", "floor", "furniture", "lamps", "doors", "windows"),
    "level": ("walls", "roofs", "trees", "rocks", "ground"),
    "object": ("object",),
}
"""The kinds of place, each with the parts that it has."""
MEDIA = (*ATTRIBUTES["medium"], "clay render", "gouache", "ink")
SKIES = (*ATTRIBUTES["sky"], "dusk")
HEADS: dict[str, tuple[str, ...]] = {"place": tuple(PLACES), "sky": SKIES, "medium": MEDIA, **PARTS}
"""What the second generation's judge tells."""
WORDS: dict[str, tuple[str, ...]] = {
    "clay render": ("white clay render", "clay model", "untextured render"),
    "gouache": ("gouache painting", "concept art gouache", "opaque paint"),
    "ink": ("ink drawing", "pen and ink", "black ink lines"),
    PAINTED: ("",),  # the colour is enough
    "dusk": ("evening", "blue hour", "nightfall"),
    "red tile": ("tiled", "clay tile", "terracotta tile"),
    "wood shingle": ("wooden shingle", "shingled"),
    "summer": ("green", "leafy"),
    "bare": ("leafless", "winter"),
    "blossoming": ("cherry blossom", "flowering"),
    "timber frame": ("half-timbered", "timber framed"),
    "lit": ("glowing", "lit up"),
    "floorboards": ("wooden floorboards", "wood planks"),
    "wet cobbles": ("wet cobblestones", "rainy cobbles"),
    "cobbles": ("cobblestones", "cobbled"),
    "village": ("hamlet", "farm", "small town"),
    "city": ("modern city", "tower blocks", "skyline"),
    "room": ("interior", "indoor room", "living room"),
    "level": ("isometric level", "game level", "diorama"),
    "ruins": ("ruined walls", "old ruins"),
    "object": ("object", "single object", "block"),
}
"""Other words for what only the second generation knows; those of the first are in ``captions.WAYS``."""
FIRST_SHARE = 0.35
_NAMED = 0.6  # of the parts, in a caption


def choose(rng: random.Random) -> dict[str, Any]:
    """Return place, parts, colours, sky and medium of a sample. What grows goes with the ground that it grows on."""
    place = rng.choice(list(PLACES))
    parts = {part: rng.choice(PARTS[part]) for part in PLACES[place]}
    if parts.get("ground") == "snow" and "trees" in parts:
        parts["trees"] = rng.choice(("snowy", "bare"))
    elif parts.get("trees") == "snowy":
        parts["trees"] = "summer"
    if parts.get("ground") == "autumn leaves":
        parts["trees"] = "autumn"
    colours = {part: rng.choice(list(COLOURS)) for part, name in parts.items() if name == PAINTED}
    if "vehicles" in parts:
        colours["vehicles"] = rng.choice(list(COLOURS))
    sky = rng.choice(SKIES)
    if "windows" in parts:
        parts["windows"] = "lit" if sky in ("night", "dusk") and rng.random() < 0.8 else "dark"
    medium = rng.choices(MEDIA, (8, 1.5, 1, 1, 1, 1))[0]
    return {"place": place, "parts": parts, "colours": colours, "sky": sky, "medium": medium}


def compose_parts(record: Mapping[str, Any], rng: random.Random) -> str:
    """Return a caption that names some of the parts of ``record``, as "stone walls, red tile roofs, at dusk"."""

    def say(word: str) -> str:
        return word if rng.random() < 0.55 else rng.choice(WORDS.get(word) or WAYS.get(word) or (word,))

    named = [describe(part, name, record["colours"], say) for part, name in record["parts"].items()]
    said = [words for words in named if rng.random() < _NAMED]
    if rng.random() < 0.7:
        rng.shuffle(said)
    if rng.random() < 0.75:
        place = say(record["place"])
        many = place.endswith(("s", "skyline"))
        said.insert(0, place if many else f"{'an' if place[0] in 'aeiou' else 'a'} {place}")
    if rng.random() < 0.85:
        said.append(rng.choice(("", "at ", "at ")) + say(record["sky"]))
    if (medium := say(record["medium"])) and (record["medium"] != "render" or rng.random() < 0.5):
        said.insert(rng.choice((0, len(said))), medium)
    for _ in range(rng.choice((0, 0, 0, 1))):
        extra = rng.choice(FILLERS) if rng.random() < 0.7 else nonsense(rng)
        said.insert(rng.randrange(len(said) + 1), extra)
    return ", ".join(said)


def describe(part: str, name: str, colours: Mapping[str, str], say: Any = str) -> str:
    """The words for a part, as "red tile roofs" or "blue painted doors". ``say``: chooses among ways to say a word."""
    if part in ("ground", "road", "floor"):
        return f"{say(name)} {part}" if part == "road" else say(name)
    noun = {"inside": "walls inside", "object": "object"}.get(part, part)
    if part == "vehicles":
        return f"{colours[part]} {name}"
    if part in colours:
        return f"{colours[part]} {say(PAINTED)} {noun}".replace("  ", " ")
    return f"{say(name)} {noun}"


def caption_of(record: Mapping[str, Any], rng: random.Random) -> str:
    """Return a caption for a record of either generation.

    Where the first's words are enough for a scene of the second, they are used at times: they go on working.
    """
    if "parts" not in record:
        return compose(record, rng)
    parts = record["parts"]
    first = {"buildings": parts.get("walls"), "ground": parts.get("ground"), "sky": record["sky"]}
    first["medium"] = record["medium"]
    if all(value in ATTRIBUTES[name] for name, value in first.items()) and rng.random() < FIRST_SHARE:
        return compose(first, rng)
    return compose_parts(record, rng)
