"""Edits that have no single right text, done by rule so that the properties asked for hold."""

from preceptor.types import Instruction


def solve(instruction: Instruction) -> str | None:
    """A text that does what the task asks for; None where the kind's gold is the answer or nothing is known of the kind."""
    return None
