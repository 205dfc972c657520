"""What a check is: a function of one example that says pass, fail or not-applicable, and knows what it cannot see.

A check *decides* only if it tells a right from a wrong answer of the same form, length and schema. That a reply
parses, is long enough or is polite decides nothing, however useful it is to know.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from preceptor.types import Ask, Example, Verdict

CheckFunction: TypeAlias = Callable[[Example, Any, Ask], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Check:
    """A named check: awaiting it gives a verdict that carries its name, version and whether it decides."""

    name: str
    run: CheckFunction
    decides: bool
    sees: str
    """What it finds, in one line."""
    blind: str
    """What it cannot see, in one line."""
    languages: frozenset[str] | None = None
    """The languages it holds for; None: all."""
    version: int = 1
    needs: tuple[str, ...] = ()
    """Roles without which it is not-applicable: judge, weak."""

    async def __call__(self, example: Example, skill: Any, ask: Ask) -> Verdict:
        why_not = self._why_not(example, ask)
        verdict = not_applicable(why_not) if why_not else await self.run(example, skill, ask)
        return replace(verdict, check=self.name, version=self.version, decides=self.decides)

    def _why_not(self, example: Example, ask: Ask) -> str:
        language = example.instruction.material.language or example.instruction.material.document.language
        if self.languages is not None and language not in self.languages:
            return f"holds for {', '.join(sorted(self.languages))}; this row is in {language}"
        missing = [role for role in self.needs if role not in ask.roles]
        return f"needs a model in the role {missing[0]}" if missing else ""


def check(
    *,
    decides: bool,
    sees: str,
    blind: str,
    languages: tuple[str, ...] | None = None,
    version: int = 1,
    needs: tuple[str, ...] = (),
    name: str = "",
) -> Callable[[CheckFunction], Check]:
    """Make a `Check` of a function; its name is the function's. Raise `version` whenever its verdicts may change."""

    def made(run: CheckFunction) -> Check:
        held = None if languages is None else frozenset(languages)
        return Check(name or run.__name__, run, decides, sees, blind, held, version, needs)

    return made


def passed(evidence: str = "") -> Verdict:
    """It is as it should be; `evidence` says what was found."""
    return Verdict("", "pass", evidence)


def failed(evidence: str, *, hint: str = "") -> Verdict:
    """It is not; `evidence` is for people, `hint` for the critic and must not show gold."""
    return Verdict("", "fail", evidence, hint)


def not_applicable(why: str) -> Verdict:
    """The check has nothing to say of this example."""
    return Verdict("", "na", why)


def table(*checks: Check) -> Mapping[str, Check]:
    """The checks by name; two of one name are a bug."""
    found = {c.name: c for c in checks}
    if len(found) != len(checks):
        raise ValueError("two checks share a name: " + ", ".join(sorted(c.name for c in checks)))
    return found
