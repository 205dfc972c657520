"""What no row may have, whatever its skill: refusals, disclaimers, cut ends, placeholders, echoes, leaks, loops.

Each is a named check over the answer; none decides. A phrase counts only where the answer says it in its own voice:
what stands between quotation marks, or in the task that was given, is not held against it. The phrase lists are
`skills/_shared/phrases.toml`; a language without a list is not-applicable, not clean.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.options import PLANNED, texts_of
from preceptor.checks.text import SCRIPTS, STOPWORDS, guess_language
from preceptor.checks.words import content, holds_any, language_of, phrases, plain, tokens
from preceptor.types import Ask, Example, Verdict

LISTED = ("en", "de", "hi", "fr", "es")
OPENING = 240
"""Characters in which a refusal shows itself."""
ECHO_WORDS = 25
"""A run of the question's words this long is an echo of it; of an agent's prompt, half as long."""
LEAK_WORDS = 8
SEED_WORDS = 50
PROSE_WORDS = 20
"""Fewer words say nothing about their language."""
QUOTATION = re.compile(r"\"[^\"\n]{0,600}\"|“[^”]{0,600}”|„[^“”]{0,600}[“”]|«[^«»]{0,600}»|»[^«»]{0,600}«|^>.*$", re.M)
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.S)
BOUNDARY = re.compile(r"</?[a-z][a-z_]*-[0-9a-f]{4}>")


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────────────────


def own_words(text: str) -> str:
    """`text` without code and without what stands between quotation marks."""
    return QUOTATION.sub(" ", CODE.sub(" ", text))


def task_of(example: Example) -> str:
    """All that the student was given: every message but the assistant's last, and the instruction's text."""
    given = [str(m.get("content") or "") for m in example.messages[:-1]]
    shown = [example.instruction.material.text] if example.instruction.shows_material else []
    return "\n\n".join((example.instruction.text, *(o.text for o in example.instruction.options), *shown, *given))


def listed(name: str, language: str) -> tuple[str, ...]:
    """The phrases of a list, in the row's language and in English: teachers fall back into it."""
    lists = phrases()[name]
    return tuple(dict.fromkeys((*lists.get(language, ()), *lists["en"])))


def said(name: str, text: str, example: Example) -> str:
    """The first phrase of a list that `text` holds and the task does not; empty where there is none."""
    task, known = task_of(example), listed(name, language_of(example.instruction))
    if not holds_any(known, text):  # nearly always; the task need not be read then
        return ""
    fresh = [p for p in known if not holds_any((p,), task)]
    return holds_any(fresh, text)


def alike(left: str, right: str) -> float:
    """Which part of one text's longer words the other has."""
    ours = content(left)
    return len(ours & content(right)) / max(1, len(ours))


def shared_run(text: str, other: str, length: int) -> str:
    """The first run of `length` words that both texts hold; empty where there is none."""
    return next(shared_runs(text, other, length), "")


def shared_runs(text: str, other: str, length: int) -> Iterator[str]:
    """All runs of `length` words of `text` that `other` holds too, in order. Linear in both."""
    runs, left = runs_of(other, length), tokens(text)
    for i in range(len(left) - length + 1):
        if tuple(left[i : i + length]) in runs:
            yield " ".join(left[i : i + length])


@lru_cache(maxsize=512)
def runs_of(text: str, length: int) -> frozenset[tuple[str, ...]]:
    """All runs of `length` words in a text. Remembered: prompts and passages are compared with many answers."""
    words = tokens(text)
    return frozenset(tuple(words[i : i + length]) for i in range(len(words) - length + 1))


# ── what assistants say of themselves ────────────────────────────────────────────────────────────────────────────


@check(decides=False, languages=LISTED, version=1, sees="the answer does not open by refusing to help",
       blind="refusals in other words; a refusal is right where the row's answerability is `forbidden`")
async def refusal(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.answer:
        return not_applicable("no answer yet")
    if example.instruction.answerability == "forbidden":
        return not_applicable("refusing is right here")
    if example.instruction.shape == "edit" and alike(example.answer, example.instruction.material.text) > 0.3:
        return passed("the text itself may refuse something")
    found = said("refusal", own_words(example.answer)[:OPENING], example)
    return failed(f"refuses: {found!r}", hint="Answer the question.") if found else passed()


@check(decides=False, languages=LISTED, version=1, blind="disclaimers in other words",
       sees="the answer does not speak of itself as a model, nor in stock courtesies")
async def disclaimer(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.answer:
        return not_applicable("no answer yet")
    found = said("disclaimer", own_words(example.answer), example)
    return failed(f"says {found!r}", hint=f"Leave out {found!r}.") if found else passed()


# ── unfinished and mechanical ────────────────────────────────────────────────────────────────────────────────────

ENDS = tuple(".!?…।॥。！？؟:;)]}\"'”’»`*_|>~—")
LIST_LINE = re.compile(r"^\s*(?:[-*•+>|#]|\d+[.)]|\(?[A-Ja-j][.)])\s*")


@check(decides=False, version=2, sees="the answer ends where a sentence, list, table or code ends, and every fence is closed",
       blind="a cut that falls on a full stop; verse and other text without punctuation")
async def cut_text(example: Example, skill: Any, ask: Ask) -> Verdict:
    answer = example.answer.rstrip()
    if not answer:
        return not_applicable("no answer yet")
    if answer.count("```") % 2:
        fence = answer[answer.rindex("```") :].splitlines()[0]
        return failed(f"a code fence is not closed: {fence[:60]!r}", hint="Finish the answer.")
    for phrase in listed("said_cut", language_of(example.instruction)):
        if plain(phrase) in plain(answer[-200:]) and plain(phrase) not in plain(task_of(example)):
            return failed(f"says itself that it was cut: {phrase!r}", hint="Finish the answer.")
    last = answer.splitlines()[-1]
    if closes_with_result(last, str(example.fields.get("final", "")), language_of(example.instruction)):
        return passed("ends in its result")
    if not _unfinished(answer, last, language_of(example.instruction)):
        return passed()
    if plain(answer[-60:]) in plain(task_of(example)):
        return passed("ends as the given text does")
    return failed(f"ends in {last[-60:]!r}", hint="Finish the last sentence.")


RESULT_LINE = re.compile(
    r"\A[\s>#*_`-]*(?:the |my |so |thus |hence |therefore |also |daher )*"
    r"(?:final |short |correct |endgültige |kurze |अंतिम |सही )*"
    r"(?:answer|result|conclusion|verdict|total|antwort|ergebnis|lösung|fazit|réponse|respuesta|risposta|उत्तर|जवाब|परिणाम)"
    r"[*_]*\s*(?::|=|–|—)[*_]*\s*(\S.*)\Z",
    re.I | re.S,
)


def closes_with_result(last: str, final: str, language: str) -> bool:
    """Whether the last line is a labelled result, or the bare answer itself: those end where the value ends."""
    line = RESULT_LINE.match(last)
    value = (line[1] if line else last).strip().strip("*_`")
    bare = plain(value).strip(" .")
    if final.strip() and bare and bare == plain(final).strip(" ."):
        return True
    words = value.split()
    opened = value.endswith((",", "-", "–", "(", ":")) or value.count("(") > value.count(")")
    dangling = len(words) > 1 and words[-1].islower() and plain(words[-1]) in map(plain, listed("cut", language))
    return bool(line) and not opened and not dangling


def _unfinished(answer: str, last: str, language: str) -> bool:
    words = tokens(last)
    if answer[-1] in ENDS or LIST_LINE.match(last) or "```" in last or re.search(r"(?:^|\W)(?:[A-Z]|\d[\d.,]*)$", last):
        return False
    if answer[-1] in ",-–(":
        return len(words) >= 3
    dangling = words and words[-1] in map(plain, listed("cut", language)) and len(words) >= 6
    stops = len(re.findall(r"[.!?।。][\"'”’»)]*(?:\s|$)", answer))
    lines = [line for line in answer.splitlines() if line.strip()]
    punctuated = sum(line.rstrip().endswith(ENDS) for line in lines)
    prose = stops >= 2 and len(words) >= 6 and (len(lines) < 4 or punctuated >= len(lines) / 2)
    return bool(dangling or prose)


SLOTS = re.compile(
    r"\[(?:your |the |insert |enter |add |company |full |first |last |recipient'?s? |customer |sender'?s? )*"
    r"(?:name|names|date|address|company|city|title|topic|number|amount|phone|email|recipient|sender|position|details|link|url|text"
    r"|place|location|product|insert[^\]]{0,40}|datum|firma|adresse|betrag|ort|नाम|तारीख|पता)\]"
    r"|<(?:insert|your|enter|add)[ _-][^<>\n]{1,40}>|\{\{ ?[a-z_ ]{2,30} ?\}\}|\bX{3,}\b",
    re.I,
)
NOTES = re.compile(r"\b(?:TODO|FIXME|TBD|TBA)\b")


@check(decides=False, version=1, sees="no slot is left to be filled: [Name], <insert …>, TODO, lorem ipsum",
       blind="blanks that look like text; slots that the task itself has are allowed to stay")
async def placeholder(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.answer:
        return not_applicable("no answer yet")
    gold = example.instruction.gold
    given = task_of(example) + str(gold.value if gold else "")
    prose = CODE.sub(" ", example.answer)
    for match in (*SLOTS.finditer(prose), *NOTES.finditer(prose)):
        if match[0].casefold() not in given.casefold():
            return failed(f"leaves {match[0]!r}", hint=f"Fill in {match[0]!r} or do without it.")
    found = said("placeholder", prose, example)
    return failed(f"leaves {found!r}", hint=f"Fill in {found!r} or do without it.") if found else passed()


CHAT = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|</?think>|<start_of_turn>|<end_of_turn>|</?tool_call>|<fields>"
    r"|^#{2,3} ?(?:Assistant|Human|User|System|Instruction|Response):|\A(?:Assistant|AI|Human|User): ", re.M)


@check(decides=False, version=1, sees="no token or label of a chat template stands in the answer", blind="templates not listed")
async def chat_tokens(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.answer:
        return not_applicable("no answer yet")
    task = task_of(example)
    for match in CHAT.finditer(CODE.sub(" ", example.answer)):
        if match[0].strip() not in task:
            return failed(f"holds {match[0].strip()!r}", hint="Write plain text without markers of turns.")
    return passed()


MOST_SAME = 4
LONGEST_LOOP = 24


@check(decides=False, version=1, sees="the answer does not go round in a loop: same words, sentence or line again and again",
       blind="a thought repeated in other words; refrains below four times")
async def repetition(example: Example, skill: Any, ask: Ask) -> Verdict:
    words = tokens(example.answer)
    if len(words) < 20:
        return not_applicable("too short to loop")
    task = plain(task_of(example))
    if (loop := _loop(words)) and loop not in " ".join(tokens(task)):
        return failed(f"goes round in {loop[:80]!r}", hint="Say it once.")
    pieces = [plain(p) for p in re.split(r"(?<=[.!?।])\s+|\n+", example.answer)]
    for piece in {p for p in pieces if len(p) >= 25}:
        if pieces.count(piece) >= MOST_SAME and task.count(piece) < pieces.count(piece):
            return failed(f"{pieces.count(piece)} times {piece[:80]!r}", hint="Say it once.")
    return passed()


def _loop(words: list[str]) -> str:
    """A run of up to `LONGEST_LOOP` words that follows itself often, with its turns: longer runs need fewer of them."""
    for size in range(1, LONGEST_LOOP + 1):
        turns = max(3, 12 // size)
        at = 0
        while at + size * turns <= len(words):
            run = words[at : at + size]
            same = all(words[at + k * size : at + (k + 1) * size] == run for k in range(1, turns))
            if same and not all(w.isdigit() for w in run):
                return " ".join(run * turns)
            at += 1
    return ""


@check(decides=False, version=1, sees="the answer is in the language of the row, by script or commonest words",
       blind="short answers, code, and languages without a word list")
async def wrong_language(example: Example, skill: Any, ask: Ask) -> Verdict:
    wanted = str(example.instruction.data.get("target_language") or language_of(example.instruction))
    prose = own_words(example.answer)
    if wanted not in SCRIPTS and wanted not in STOPWORDS:
        return not_applicable(f"no word list for {wanted}")
    if example.instruction.data.get("languages"):
        return not_applicable("the row mixes languages on purpose")
    if len(tokens(prose)) < PROSE_WORDS or prose.lstrip().startswith(("{", "[")):
        return not_applicable("too little prose to tell")
    found = guess_language(prose)
    if found in ("und", wanted) or (found in SCRIPTS and SCRIPTS[found] == SCRIPTS.get(wanted)):
        return passed(f"reads as {found}")
    return failed(f"reads as {found}, the row is in {wanted}", hint=f"Write in the language with the code {wanted}.")


# ── echoes, leaks, loose ends ────────────────────────────────────────────────────────────────────────────────────


@check(decides=False, version=1, sees="the answer repeats neither the question nor words that were meant for an agent",
       blind="a paraphrase of the prompt")
async def prompt_echo(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if not example.answer:
        return not_applicable("no answer yet")
    if boundary := BOUNDARY.search(example.answer):
        return failed(f"holds the boundary {boundary[0]!r}", hint="Leave out the marks around quoted material.")
    if found := said("echo", own_words(example.answer), example):
        return failed(f"speaks as a prompt does: {found!r}", hint="Write for the reader alone.")
    if instruction.shape != "edit" and (run := shared_run(example.answer, instruction.text, ECHO_WORDS)):
        return failed(f"repeats the question: {run[:80]!r}", hint="Do not repeat the question.")
    task = task_of(example)
    for agent in getattr(skill, "agents", {}).values():
        run = shared_run(example.answer, agent.template, ECHO_WORDS // 2)
        if run and run not in " ".join(tokens(task)):
            return failed(f"repeats the prompt of {agent.name}: {run[:80]!r}", hint="Write for the reader alone.")
    return passed()


@check(decides=False, languages=LISTED, version=1,
       sees="question and answer point at no text, figure or table that the student will not see",
       blind="a reference by content ('the author', 'this incident')")
async def dangling_reference(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    both = f"{instruction.text}\n{own_words(example.answer)}"
    shown = "\n".join((instruction.material.text if instruction.shows_material else "",
                       *(str(m.get("content") or "") for m in instruction.history)))
    for match in re.finditer(rf"(?i)\b({'|'.join(listed('figure', language))})\.? ?(\d+|[A-H])\b", instruction.text):
        if not re.search(rf"(?i)\b{re.escape(match[1])}\.? ?{match[2]}\b|^\s*\|", shown, re.M):
            return failed(f"points at {match[0]!r}, which is nowhere", hint="Do not refer to what the reader cannot see.")
    if shown.strip() or len(instruction.text) > 600:
        return passed("the text is shown")
    found = holds_any(listed("unseen", language), both)
    return failed(f"no text is shown, yet it says {found!r}", hint=f"Do not say {found!r}.") if found else passed()


HIDDEN = ("assumption", "claim", "target", "intended_claim", "disagreement", "crux", "false_belief", "unsaid", "agreements",
          "consequence", "silent_on", "not_reported")
"""Plan fields of materials that are in the makers' words and not in the text."""


def plan_of(example: Example) -> list[str]:
    """What only the makers know: plan fields, options' reasons, the suggestion; nothing that the student reads."""
    instruction = example.instruction
    plan = [option.reason for option in instruction.options] + [instruction.suggestion]
    plan += texts_of(instruction.data, PLANNED) + texts_of(instruction.material.data, HIDDEN)
    return [text for text in plan if text]


@check(decides=False, languages=LISTED, version=2,
       sees="answer and reasoning know nothing that only the makers of the row know: key, roles, plan, hidden text",
       blind="knowledge that leaks in other words")
async def leaked_making(example: Example, skill: Any, ask: Ask) -> Verdict:
    if not example.answer:
        return not_applicable("no answer yet")
    flaw = str(example.instruction.material.data.get("flaw", ""))
    codes = {c for c in (flaw, *(o.role for o in example.instruction.options)) if "_" in c}
    seen, language = " ".join(tokens(task_of(example))), language_of(example.instruction)
    task = frozenset(seen.split())
    plan = plan_of(example) if example.instruction.shape != "edit" else []
    for where, text in (("answer", own_words(example.answer)), ("reasoning", example.reasoning)):
        if found := said("making", text, example):
            return failed(f"the {where} says {found!r}", hint="Write from the task alone.")
        if code := next((c for c in sorted(codes) if re.search(rf"\b{re.escape(c)}\b", text)), ""):
            return failed(f"the {where} names {code!r}", hint="Write from the task alone.")
        for planned in plan:
            run = next((r for r in shared_runs(text, planned, LEAK_WORDS) if r not in seen and strange(r, task, language)), "")
            if run:
                new = ", ".join(strange(run, task, language))
                return failed(f"the {where} has words of the plan: {run!r}; the task has no {new}",
                              hint="Write from the task alone.")
    return passed()


LEAST_STRANGE = 2
"""Words of a run that the task must not have in any form, before the run can only come from the plan."""


def strange(run: str, task: frozenset[str], language: str) -> list[str]:
    """The words of a run that the task has in no form; empty where they are too few to say where the run is from.

    Two readers of one passage draw the same conclusion in the same words: `the twenty-second night is that of 22 May`.
    Words that are derived from the task's (`repaid` from `paid`, `Wochenfrist` from `Frist`) are the task's.
    """
    common = STOPWORDS.get(language, frozenset()) | set(map(plain, phrases("function_words")["function"].get(language, ())))
    new = [w for w in dict.fromkeys(run.split()) if w not in common and len(w) > 3 and not any(kin(w, t) for t in task)]
    return new if len(new) >= LEAST_STRANGE else []


def kin(left: str, right: str) -> bool:
    """Whether two words look like forms of one: the same beginning but for an ending, or one within the other."""
    if left == right:
        return True
    short, long = sorted((left, right), key=len)
    if len(short) >= 4 and short in long:
        return True
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(short))
    return same >= 4 and same >= len(short) - 2 and len(long) - same <= 5


@check(decides=False, version=1, sees="no more than 50 words in a row are copied from a document that the student does not see",
       blind="copying that changes a word now and then")
async def verbatim_seed(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    document = instruction.material.document.text
    ours = f"{instruction.text}\n{example.answer}"
    run = shared_run(ours, document, SEED_WORDS + 1)
    given = [str(m.get("content") or "") for m in instruction.history]
    given += [instruction.material.text] if instruction.shows_material else []
    if run and run not in " ".join(tokens("\n".join(given))):
        return failed(f"copies the document: {run[:120]!r}", hint="Use words of your own.")
    return passed()
