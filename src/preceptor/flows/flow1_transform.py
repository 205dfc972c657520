"""Flow 1, content transformation: a document becomes material worth asking about."""

from preceptor.draws import draw, drawn_for
from preceptor.errors import Declined, StepError
from preceptor.flows.together import together
from preceptor.skill import Skill
from preceptor.types import Agent, Ask, Document, Dropped, Material

IDENTITY = Agent("identity", "")
"""Stands for the paper's identity agent: the document as it is, no call."""


async def transform(document: Document, skill: Skill, ask: Ask) -> list[Material | Dropped]:
    """Draw `transform.pick` transformers that suit the document's kind, and let each make its material."""
    suited = [agent for agent in skill.in_step("1_transform") if not agent.suits or document.kind in agent.suits]
    if skill.of("transform", "original"):
        suited.append(IDENTITY)
    if not suited:
        return [Dropped(document, "transform", f"no transformer of {skill.name} suits a document of kind {document.kind}")]
    drawn = draw(
        suited,
        ask.seed,
        "transform",
        document.id,
        k=skill.of("transform", "pick"),
        name=lambda a: a.name,
        weight=lambda a: skill.of("transform", "identity_weight") if a is IDENTITY else 1.0,
    )
    return await together([material_of(agent, document, ask) for agent in drawn])


async def material_of(agent: Agent, document: Document, ask: Ask) -> Material | Dropped:
    """What this transformer makes of the document: a text, and the plan that later checks stand on."""
    if agent is IDENTITY:
        return Material(document, "identity", document.text, language=document.language)
    genre = agent.name.rsplit("/", 1)[-1]
    try:
        reply = await ask(agent, genre=genre, drawn=drawn_for(agent.draws, ask.seed, agent.name, document.id))
    except Declined as error:
        return Dropped(document, "transform", f"declined: {error}", agent.name)
    except StepError as error:
        return Dropped(document, "transform", str(error), agent.name)
    plan = dict(reply.fields)
    text = plan.pop("text", "") or reply.text
    return Material(document, genre, text, plan, language=document.language)
