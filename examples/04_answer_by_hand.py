"""Answering by hand: a run writes its requests to a folder, replies are put beside them, the same call goes on."""

import json
import tempfile
from pathlib import Path
from typing import Any

import preceptor
from preceptor.recipe import recipe_of

HERE = Path(__file__).parent
BY_HAND = [json.loads(line) for line in (HERE / "replies.jsonl").read_text().splitlines() if not line.startswith("#")]


def by_hand(request: dict[str, Any]) -> dict[str, Any]:
    """What a person would type: here it is looked up, by the agent that asks."""
    agent = request["body"]["metadata"]["agent"]
    line = next(line for line in BY_HAND if agent.endswith(line["agent"].strip("*")))
    return {"custom_id": request["custom_id"], "content": line["fields"]}


def answer(batch: Path, turn: int, known: set[str]) -> list[str]:
    """Every request of the folder that is not known yet has a reply beside it; returns the agents that asked."""
    lines = [line for file in sorted(batch.glob("requests-*.jsonl")) for line in file.read_text().splitlines()]
    new = [request for request in map(json.loads, lines) if request["custom_id"] not in known]
    known |= {request["custom_id"] for request in new}
    (batch / f"replies-{turn:03}.jsonl").write_text("".join(json.dumps(by_hand(r)) + "\n" for r in new))
    return [request["body"]["metadata"]["agent"] for request in new]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        batch, known = Path(folder) / "answers", set[str]()
        recipe = recipe_of(
            {
                "documents": ["documents/altitude_sickness_clinic_notes.md"],
                "skills": {"reading_comprehension": {"kinds": ["literal"], "transformers": ["identity"]}},
                "teacher": f"batch:{batch}",
            },
            HERE,
        )
        for turn in range(1, 10):
            run = preceptor.run(recipe, into=Path(folder) / "run")
            if not run.ended or not run.ended.waiting_requests:
                break
            print(f"round {turn}: answered", ", ".join(answer(batch, turn, known)))
        print(f"{len(run.examples('accepted'))} row accepted after {turn - 1} rounds of answers")
