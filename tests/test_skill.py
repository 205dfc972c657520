"""Packs: read whole, refused with file and mend where something is wrong, laid over one another."""

from pathlib import Path

import pytest

from flows.makings import REFINE, SMALL, pack, skill, template
from preceptor.checks import find
from preceptor.errors import PackError
from preceptor.skill import built_in, fits, load_skill


def test_the_packs_in_the_box_are_found_by_name_and_are_whole() -> None:
    assert {"reading_comprehension", "text_modification", "tool_use"} <= set(built_in())
    for name in built_in():
        held = load_skill(name)
        for kind in held.kinds:
            for check in kind.checks:
                assert find(check, held).name == check
            if kind.tier == "real" and kind.name not in held.builders and "instruct" not in held.steps:
                assert held.agent(f"2_instruct/{kind.agent or kind.name}")
        names = {kind.name for kind in held.kinds}
        for goal in held.goals:
            assert set(goal.kinds) <= names, goal.name
        for kind in held.kinds:
            assert set(kind.goals) <= {goal.name for goal in held.goals}, kind.name


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"skill.toml": "title = 'x'\nverison = 1\n"}, "unknown key 'verison'; did you mean 'version'?"),
        ({"skill.toml": "[respond]\nround = 1\n"}, "[respond]: unknown key 'round'; did you mean 'rounds'?"),
        ({"skill.toml": "title = \n"}, "not TOML"),
        ({"2_instruct/taxonomy.toml": '[[kind]]\nabout = "x"\n'}, "an entry without a name"),
        (
            {"2_instruct/taxonomy.toml": '[[kind]]\nname = "a"\nshapes = "short"\n'},
            "a: unknown key 'shapes'; did you mean 'shape'?",
        ),
        ({"2_instruct/taxonomy.toml": '[[kind]]\nname = "a"\n[[kind]]\nname = "a"\n'}, "two kinds named 'a'"),
        ({"skill.toml": 'extends = "reading_comprehenson"\n'}, "did you mean 'reading_comprehension'?"),
        ({"skill.toml": 'extends = "../small"\n'}, "cannot be laid over itself"),
        ({"skill.py": "import nothing_like_this\n"}, "ModuleNotFoundError"),
        ({"skill.py": "def (\n"}, "SyntaxError"),
    ],
)
def test_what_is_wrong_in_a_pack_is_said_with_its_file(layer: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(PackError) as refused:
        skill(tmp_path, layer)
    assert says in str(refused.value)


def test_packs_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    pack(tmp_path, name="a", base={"skill.toml": 'extends = "b"\n'})
    pack(tmp_path, name="b", base={"skill.toml": 'extends = "a"\n'})
    with pytest.raises(PackError, match="leads back to"):
        load_skill(tmp_path / "a")


def test_a_pack_of_ones_own_may_have_the_name_of_the_one_it_is_laid_over(tmp_path: Path) -> None:
    over = {"skill.toml": 'extends = "reading_comprehension"\nabout = "ours"\n', "4_respond/answer.md": "{{ task }} Ours."}
    mine = load_skill(pack(tmp_path, name="reading_comprehension", base=over))
    box = load_skill("reading_comprehension")
    assert mine.about == "ours"
    assert mine.agent("4_respond/answer").template == "{{ task }} Ours.\n"
    assert [k.name for k in mine.kinds] == [k.name for k in box.kinds]
    assert mine.fingerprint != box.fingerprint


def test_numbers_kinds_goals_and_agents_are_laid_over_one_by_one(tmp_path: Path) -> None:
    pack(
        tmp_path,
        REFINE,
        {"skill.toml": SMALL["skill.toml"] + '\n        [verify]\n        checks = ["refusal"]\n'},
        name="base",
    )
    over = {
        "skill.toml": 'extends = "base"\n[respond]\nanswers = 4\n[remove]\ngoals = ["harder"]\nagents = ["3_refine/editor"]\n',
        "2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nabout = "other"\nagent = "count"\n[[kind]]\nname = "more"\n',
    }
    mine = load_skill(pack(tmp_path, name="mine", base=over))
    assert (mine.of("respond", "answers"), mine.of("respond", "rounds"), mine.of("verify", "checks")) == (4, 0, ["refusal"])
    assert [(k.name, k.about) for k in mine.kinds] == [("count", "other"), ("more", "")]
    assert mine.goals == ()
    assert "3_refine/editor" not in mine.agents
    assert mine.agent("4_respond/answer").name == "base/4_respond/answer"
    assert mine.agent("_shared/frame").template


@pytest.mark.parametrize("removed", ['kinds = ["nothing"]', 'goals = ["nothing"]', 'agents = ["4_respond/nothing"]'])
def test_what_is_removed_must_have_been_there(removed: str, tmp_path: Path) -> None:
    pack(tmp_path, name="base")
    with pytest.raises(PackError, match="nothing"):
        load_skill(pack(tmp_path, name="mine", base={"skill.toml": f'extends = "base"\n[remove]\n{removed}\n'}))


@pytest.mark.parametrize(
    ("name", "says"),
    [("poetry", "no skill named 'poetry'; there are: "), ("tool_us", "did you mean 'tool_use'?")],
)
def test_a_skill_that_does_not_exist_is_said_with_those_that_do(name: str, says: str) -> None:
    with pytest.raises(PackError) as refused:
        load_skill(name)
    assert says in str(refused.value)


def test_an_agent_or_kind_that_does_not_exist_is_said_with_the_nearest(tmp_path: Path) -> None:
    small = skill(tmp_path)
    with pytest.raises(PackError, match=r"no agent '4_respond/anser'; did you mean '4_respond/answer'\?"):
        small.agent("4_respond/anser")
    with pytest.raises(PackError, match=r"no kind 'counts'; did you mean 'count'\?"):
        small.kind("counts")


def test_every_text_and_line_of_code_counts_in_the_fingerprint_and_the_readme_does_not(tmp_path: Path) -> None:
    path = template(tmp_path)
    first = load_skill(path).fingerprint
    for file, counts in (
        ("README.md", False),
        ("4_respond/answer.md", True),
        ("skill.py", True),
        ("3_refine/goals.toml", True),
    ):
        text = (path / file).read_text()
        (path / file).write_text(text + "\n\n")
        assert (load_skill(path).fingerprint != first) is counts, file
        (path / file).write_text(text)


def test_judges_are_asked_at_temperature_zero_in_the_role_of_judge(tmp_path: Path) -> None:
    agent = skill(tmp_path, {"5_verify/well.md": "Is it well?"}).agent("5_verify/well")
    assert (agent.role, agent.temperature) == ("judge", 0.0)


@pytest.mark.parametrize(
    ("suits", "genre", "kind", "fit"),
    [
        ((), "argument", "prose", True),
        (("argument",), "argument", "code", True),
        (("argument",), "identity", "prose", False),
        (("identity/table",), "identity", "table", True),
        (("identity/table",), "identity", "prose", False),
    ],
)
def test_suits_names_genres_and_what_they_were_made_from(suits: tuple[str, ...], genre: str, kind: str, fit: bool) -> None:
    assert fits(suits, genre, kind) is fit


def test_a_pack_that_was_edited_is_read_anew_and_one_that_was_not_is_not(tmp_path: Path) -> None:
    base = pack(tmp_path, name="base")
    over = pack(tmp_path, name="over", base={"skill.toml": 'title = "Over"\nextends = "./../base"\n'})
    first = load_skill(over)
    assert load_skill(over) is first
    prompt = base / "2_instruct/count.md"
    prompt.write_text(prompt.read_text() + "\nOne more line.\n")
    second = load_skill(over)
    assert second.agent("2_instruct/count").template.rstrip().endswith("One more line.")
    assert second.fingerprint != first.fingerprint


def test_code_beside_an_edited_pack_is_read_anew_too(tmp_path: Path) -> None:
    made = pack(tmp_path, {"skill.py": "from .beside import NUMBER\n", "beside.py": "NUMBER = 1\n"})
    assert load_skill(made).module.NUMBER == 1  # type: ignore[union-attr]
    (made / "beside.py").write_text("NUMBER = 22\n")
    assert load_skill(made).module.NUMBER == 22  # type: ignore[union-attr]


@pytest.mark.parametrize("quota", ["unanswerable = 0.1", "unanswerable = [0.2, 0.1]", "unanswerable = [10, 15]", "kept = 0"])
def test_a_quota_that_is_no_share_is_refused(quota: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"\[quota\]"):
        load_skill(pack(tmp_path, {"skill.toml": f"{SMALL['skill.toml']}\n[quota]\n{quota}\n"}))
