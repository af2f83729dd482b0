"""The attributes of a blockout sample and the pairs held out of training. No bpy, no torch."""

from __future__ import annotations

from typing import Any

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "buildings": (
        "stone brick",
        "red brick",
        "wooden plank",
        "white plaster",
        "sandstone",
        "neon glass",
        "rusty metal",
        "mossy stone",
        "candy striped",
        "ice",
        "lava rock",
        "golden",
    ),
    "ground": ("grass", "snow", "sand", "asphalt", "dirt", "autumn leaves", "water", "marble tiles"),
    "sky": ("noon", "sunset", "overcast", "night", "fog", "dawn"),
    "medium": ("render", "watercolor", "pencil sketch"),
}

# (buildings, ground) that never occur together in training: they test that captions compose.
HELD_OUT = frozenset(
    {
        ("neon glass", "snow"),
        ("candy striped", "sand"),
        ("golden", "grass"),
        ("ice", "asphalt"),
        ("mossy stone", "marble tiles"),
        ("red brick", "water"),
    }
)


def is_held_out(record: dict[str, Any]) -> bool:
    """Tell whether a sample's (buildings, ground) pair is one of `HELD_OUT`."""
    return (record.get("buildings"), record.get("ground")) in HELD_OUT
