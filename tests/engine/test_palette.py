"""Colours: seen on both themes, apart for red-green blind eyes, and never the only sign."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ecg_engine.figures.palette import AAMI_COLOURS, LABEL_COLOURS, LABEL_LETTERS, LABEL_SYMBOLS
from ecg_engine.labels import LABEL_NAMES

# Machado et al. 2009, full deuteranopia and protanopia, in linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ np.clip(rgb, 1e-4, 1) / np.array([0.9505, 1, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", ["#ffffff", "#0e1117"])
def test_every_colour_stands_out_on_light_and_dark_pages(page: str) -> None:
    for colour in {*LABEL_COLOURS.values(), *AAMI_COLOURS.values()}:
        assert contrast(colour, page) >= 3.0, f"{colour} on {page}"


@pytest.mark.parametrize("kind", BLINDNESS)
def test_aami_classes_stay_apart_for_every_eye(kind: str) -> None:
    for one, other in combinations(AAMI_COLOURS.values(), 2):
        distance = np.linalg.norm(lab(BLINDNESS[kind] @ linear(one)) - lab(BLINDNESS[kind] @ linear(other)))
        assert distance > 15, f"{one} and {other}"


def test_every_label_has_its_own_colour_letter_and_symbol() -> None:
    for table in (LABEL_COLOURS, LABEL_LETTERS, LABEL_SYMBOLS):
        assert set(table) == set(LABEL_NAMES)
        assert len(set(table.values())) == len(table)
