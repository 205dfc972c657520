"""A run of a plan as it stands, with models and tools of the test's own choosing: what `factory.run` does not let in."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from preceptor import factory
from preceptor.engine import run as engine
from preceptor.engine.ask import Outside
from preceptor.engine.journal import Journal
from preceptor.plan import Plan, items_of, plan_of
from preceptor.recipe import Recipe
from preceptor.skill import Skill
from preceptor.sources import documents_of, examples_of
from preceptor.tools.sandbox import Sandbox
from preceptor.types import Document, Model, Tool

Wrap = Callable[[Tool], Tool]


def run_with(
    recipe: Recipe,
    into: Path,
    models: Mapping[str, Model],
    *,
    skills: Mapping[str, Skill] | None = None,
    documents: Sequence[Document] | None = None,
    limit: int = 0,
    wrap: Wrap = lambda tool: tool,
) -> factory.Run:
    """A run of the recipe in `into`, with `models` by role, `skills` in place of those loaded, and each tool wrapped."""
    named = {role: "given" for role in models if role in ("teacher", "judge", "weak")}
    plan = plan_of(recipe.model_copy(update=named))
    plan = replace(plan, skills={**plan.skills, **(skills or {})})
    held = list(documents if documents is not None else documents_of(plan.recipe).documents)
    return asyncio.run(_run(plan, into, models, held[: limit or None], wrap))


async def _run(
    plan: Plan, into: Path, models: Mapping[str, Model], documents: Sequence[Document], wrap: Wrap
) -> factory.Run:
    journal, sandbox = Journal(into), Sandbox()
    try:
        tools: Iterable[Tool] = [wrap(tool) for tool in factory.tools_of(plan, into, documents, sandbox)]
        outside = Outside(journal, models, tools=tools, slots=plan.recipe.limits.in_flight)
        await journal.remember("recipe", plan.recipe.model_dump(mode="json"))
        await journal.remember("skipped", plan.skipped())
        await journal.remember("quotas", plan.quotas())
        examples = examples_of(plan.recipe)
        ended = await engine.run(
            items_of(plan, documents), factory.work(plan), factory.door(outside, plan, examples), outside, signals=False
        )
    finally:
        for model in dict.fromkeys(models.values()):
            await model.close()
        sandbox.close()
        journal.close()
    return factory.Run(into, ended)
