"""Products of many axes in few cases: each two values of two axes meet at least once. Standard library and pytest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

Case = tuple[Any, ...]


def product(axes: Mapping[str, Sequence[Any]]) -> list[Any]:
    """All cases of ``axes`` for pytest's parametrize; slow, but for a few in which each pair of values is."""
    cases = list(itertools.product(*axes.values()))
    chosen = set(_pairwise(cases))
    return [case if case in chosen else pytest.param(*case, marks=pytest.mark.slow) for case in cases]


def _pairs(case: Case) -> set[tuple[Any, ...]]:
    return set(itertools.combinations(enumerate(case), 2))


def _pairwise(cases: Sequence[Case]) -> list[Case]:
    missing = set().union(*map(_pairs, cases))
    chosen: list[Case] = []
    while missing:
        chosen.append(max(cases, key=lambda case: len(_pairs(case) & missing)))
        missing -= _pairs(chosen[-1])
    return chosen
