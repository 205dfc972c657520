"""A run: a recipe over documents, kept in a folder, resumed for nothing, exported as a dataset. No network, no key."""

import tempfile
from pathlib import Path

import preceptor
from preceptor.recipe import recipe_of

HERE = Path(__file__).parent

recipe = recipe_of(  # what `preceptor.load_recipe("recipe.toml")` reads from a file
    {
        "name": "first",
        "documents": ["documents/altitude_sickness_clinic_notes.md"],
        "licence": "Apache-2.0",
        "teacher": "scripted:replies.jsonl",
        "skills": {"reading_comprehension": {"kinds": ["literal"], "transformers": ["identity"]}},
    },
    HERE,
)

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run = preceptor.run(recipe, into=folder)
        again = preceptor.run(recipe, into=folder)  # the same call goes on; here nothing is left to do
        assert again.ended
        assert again.ended.progress.paid == 0

        items = run.report["law"]["items"]
        print("items:", items, "· the counts add up:", run.report["law"]["holds"])
        for example in run.examples("accepted"):
            document = example.instruction.material.document
            print(f"{example.id}  {example.instruction.kind}  from {document.source}, licence {document.licence}")

        written = run.export()
        print(f"{written.rows} rows, {written.pairs} preference pairs:", ", ".join(written.files))
