"""The test kit: a scripted model, a door for tests of single steps, a simulated teacher, mutators, gates, golden replay.

ScriptedModel, Line      says what a list or a file tells it to
FakeAsk                  the door, in memory: for tests of one step or one check
SimulatedTeacher         answers every agent by rule; right, or wrong in one named way
mutate, MUTATORS         eight ways to turn a right answer into a wrong one of the same form
replay_golden, stale     a pack's recorded run, answered from its record
faults_of_pack, notes_of_pack, counts_of_skill, gates
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from preceptor.models.scripted import Line, ScriptedModel
    from preceptor.testing.fake import FakeAsk
    from preceptor.testing.gates import gates
    from preceptor.testing.golden import record, replay_golden, stale
    from preceptor.testing.mutators import MUTATORS, mutate
    from preceptor.testing.packs import counts_of_skill, faults_of_pack, notes_of_pack
    from preceptor.testing.simulated import SimulatedTeacher, simulate

WHERE = {
    "ScriptedModel": "preceptor.models.scripted",
    "Line": "preceptor.models.scripted",
    "FakeAsk": "preceptor.testing.fake",
    "SimulatedTeacher": "preceptor.testing.simulated",
    "simulate": "preceptor.testing.simulated",
    "mutate": "preceptor.testing.mutators",
    "MUTATORS": "preceptor.testing.mutators",
    "faults_of_pack": "preceptor.testing.packs",
    "counts_of_skill": "preceptor.testing.packs",
    "notes_of_pack": "preceptor.testing.packs",
    "gates": "preceptor.testing.gates",
    "record": "preceptor.testing.golden",
    "replay_golden": "preceptor.testing.golden",
    "stale": "preceptor.testing.golden",
}

__all__ = [
    "MUTATORS",
    "FakeAsk",
    "Line",
    "ScriptedModel",
    "SimulatedTeacher",
    "counts_of_skill",
    "faults_of_pack",
    "gates",
    "mutate",
    "notes_of_pack",
    "record",
    "replay_golden",
    "simulate",
    "stale",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module 'preceptor.testing' has no attribute {name!r}; there are: {', '.join(__all__)}")
    found = getattr(import_module(WHERE[name]), name)
    globals()[name] = found  # a submodule of the same name (gates) gives way to its function
    return found
