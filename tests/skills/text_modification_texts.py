"""Texts that the builders of text modification are tried on: letters, minutes, notes, a table, a review; three languages."""

from pathlib import Path

DEFECTS = [
    {"sort": "agreement", "wrong": "Lane have been closed", "right": "Lane has been closed"},
    {"sort": "doubled word", "wrong": "the the timbers", "right": "the timbers"},
    {"sort": "wrong word", "wrong": "retired their was", "right": "retired there was"},
    {"sort": "wrong word", "wrong": "is to high", "right": "is too high"},
]
"""The record of the slips in `draft.en.txt`."""

TEXTS = {file.name.split(".")[0]: (file.read_text(encoding="utf-8"), file.name.split(".")[1])
         for file in sorted((Path(__file__).parent / "texts").glob("*.txt"))}
"""Text and language by name."""
