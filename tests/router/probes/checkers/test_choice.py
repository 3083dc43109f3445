"""The checker `choice`: which letter an answer chooses, of real-looking answers in many forms and languages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.choice import check_choice, chosen_letter, letters_of
from router.probes.checkers.visible import visible

OPTIONS = ["Paris", "Rome", "Athens", "Lisbon"]
ANSWERS: list[tuple[str, str | None]] = [
    ("B", "B"),
    ("(B)", "B"),
    ("B.", "B"),
    ("B)", "B"),
    ("b", "B"),
    ("(b)", "B"),
    ("**B**", "B"),
    ("**B.** Rome", "B"),
    ("B. Rome", "B"),
    ("B: Rome", "B"),
    ("B) Rome", "B"),
    ("(B) Rome", "B"),
    ("The answer is (B).", "B"),
    ("The answer is B.", "B"),
    ("The answer is **B**.", "B"),
    ("The correct answer is **(B) Rome**.", "B"),
    ("The correct answer is: B. Rome", "B"),
    ("Answer: B", "B"),
    ("**Answer: B**", "B"),
    ("**Answer:** B", "B"),
    ("Answer: **B**", "B"),
    ("ANSWER: B", "B"),
    ("Answer: Option B", "B"),
    ("Option B", "B"),
    ("Option (B)", "B"),
    ("Option B is correct.", "B"),
    ("B is correct.", "B"),
    ("B is the correct answer.", "B"),
    ("\\boxed{B}", "B"),
    ("$\\boxed{\\text{B}}$", "B"),
    ("\\boxed{\\textbf{(B)}\\ Rome}", "B"),
    ("The answer is $\\boxed{\\text{(B)}}$", "B"),
    ("Rome", "B"),
    ("Rome.", "B"),
    ("**Rome**", "B"),
    ("The answer is Rome.", "B"),
    ("It is Rome, the capital of Italy.", "B"),
    ("Die Antwort ist B.", "B"),
    ("Die richtige Antwort ist (B).", "B"),
    ("Antwort: B) Rom", "B"),
    ("La réponse est B.", "B"),
    ("La bonne réponse est la B.", "B"),
    ("La respuesta correcta es la B.", "B"),
    ("La respuesta es B) Rome", "B"),
    ("La risposta corretta è B.", "B"),
    ("A resposta correta é B.", "B"),
    ("Het antwoord is B.", "B"),
    ("答案是B", "B"),
    ("答案：B", "B"),
    ("答案为（B）", "B"),
    ("正确答案是 B。", "B"),
    ("正解はBです。", "B"),
    ("答えは (B) です", "B"),
    ("정답은 B입니다.", "B"),
    ("Ответ: B", "B"),
    ("Правильный ответ — B.", "B"),
    ("选B", "B"),
    ("选项B", "B"),
    ("الإجابة: B", "B"),
    ("Let's think. A is wrong. C is wrong too. So the answer is B.", "B"),
    ("I'd rule out A, C and D, leaving B.", "B"),
    ("A dog is not an option. The answer is B", "B"),
    ("I think the answer is B.", "B"),
    ("I choose B.", "B"),
    ("I would go with option B.", "B"),
    ("<think>A? C?</think>B", "B"),
    ("<think>A? C?</think>\n\nThe answer is (B).", "B"),
    ("```\nB\n```", "B"),
    ("`B`", "B"),
    ("<answer>B</answer>", "B"),
    ("Answer: A. No, wait: Answer: B", "B"),
    ("The answer is not A. The answer is B.", "B"),
    ("The answer is not A, it is B.", "B"),
    ("A and B", None),
    ("A, B", None),
    ("Both A and C are right.", None),
    ("I do not know.", None),
    ("A dog", None),
    ("None of the above", None),
    ('{"answer": "B"}', "B"),
    ("**Explanation**: Rome is the capital.\n\n**Answer**: B", "B"),
    ("B\n\nRome is the capital of Italy.", "B"),
    ("Rome is the capital of Italy.\n\nB", "B"),
    ("Rome is the capital of Italy.\n\n(B)", "B"),
    ("A", "A"),
    ("A.", "A"),
    ("Answer: A", "A"),
    ("The answer is A.", "A"),
    ("The answer is A because Paris lies on the Seine.", "A"),
    ("D — Lisbon", "D"),
    ("D - Lisbon", "D"),
    ("**D**. Lisbon", "D"),
    ("*D*", "D"),
    ("The best option is D.", "D"),
    ("Correct option: D", "D"),
    ("Choice D", "D"),
    ("Ｄ", "D"),
    ("（Ｄ）", "D"),
    ("$D$", "D"),
    ("E", None),
    ('"D"', "D"),
    ("'D'", "D"),
    ("Answer:\n\nD", "D"),
    ("Answer:\n**D) Lisbon**", "D"),
    ("The answer is D) Lisbon, not A) Paris.", "D"),
    ("The correct choice is:\n\n**D. Lisbon**", "D"),
    ("I", None),
    ("The correct answer is option B: Rome.", "B"),
    ("**Correct answer: B) Rome**", "B"),
    ("I'd say B", "B"),
    ("B, because Rome is ...", "B"),
    ("B - Rome", "B"),
    ("The right answer would be B.", "B"),
    ("My answer is B", "B"),
    ("So, the answer is: **B**", "B"),
    ("Thus the correct option is (B).", "B"),
    ("Therefore, option B is the correct choice.", "B"),
    ("Correct: B", "B"),
    ("✅ B", "B"),
    ("➡️ **B. Rome**", "B"),
    ("Answer: B ✅", "B"),
    ("Answer: B\n\nExplanation: A is wrong because...", "B"),
    ("The answer is B; A, C and D are wrong.", "B"),
    ("Antwort: **B**", "B"),
    ("Die Antwort lautet **B. Rome**", "B"),
    ("Richtig ist B.", "B"),
    ("Richtig ist Antwort B.", "B"),
    ("La bonne réponse est : **B**", "B"),
    ("Réponse : B", "B"),
    ("La opción correcta es la B.", "B"),
    ("Opción B", "B"),
    ("A resposta certa é a letra B.", "B"),
    ("Letra B", "B"),
    ("正确答案是：B", "B"),
    ("应该选B。", "B"),
    ("选择B", "B"),
    ("答案选B", "B"),
    ("正解：B", "B"),
    ("答えはBです。", "B"),
    ("정답: B", "B"),
    ("Правильный вариант: B", "B"),
    ("Верный ответ: B. Rome", "B"),
    ("Odpowiedź: B", "B"),
    ("Prawidłowa odpowiedź to B.", "B"),
    ("Het juiste antwoord is B.", "B"),
    ("La risposta giusta è la B.", "B"),
    ("Let me think step by step. Option A is Paris. Option B is Rome. The opposite is B.", "B"),
    ("**B** is the answer because...", "B"),
    ("[B]", "B"),
    ("<B>", "B"),
    ("B\n", "B"),
    ("The letter is B.", "B"),
    ("Answer - B", "B"),
    ("answer is b", "B"),
    ("ans: B", "B"),
    ("Ans. B", "B"),
    ("Final answer: B", "B"),
    ("$$\\boxed{B}$$", "B"),
    ("The best answer is B.", "B"),
    ("The statement that follows is B.", "B"),
    ("C is incorrect, so B.", "B"),
    ("Not A. B.", "B"),
    ("Rome", "B"),
    ('It would be "Rome".', "B"),
    ("Rome (B)", "B"),
    ("A) Paris is wrong; the answer is B) Rome", "B"),
]


@pytest.mark.parametrize(("answer", "letter"), ANSWERS)
def test_the_letter_that_an_answer_chooses(answer: str, letter: str | None) -> None:
    assert chosen_letter(visible(answer), "ABCD", OPTIONS)[0] == letter


SYLLOGISMS = [
    "Some fands are not zirps.",
    "Some fands are zirps.",
    "All fands are zirps.",
    "None of these follows.",
    "No fands are zirps.",
]
ABOUT_SYLLOGISMS: list[tuple[str, str | None]] = [
    ("None of these follows.", "D"),
    ("D. None of these follows.", "D"),
    ("Reason: the premises share no middle term.\n\nAnswer: D", "D"),
    ("From the premises nothing follows, so the answer is D.", "D"),
    ("Answer: D (None of these follows)", "D"),
    ("**Answer: D. None of these follows.**", "D"),
    ("No conclusion about fands and zirps is certain.\nAnswer: **D**", "D"),
    ("We cannot conclude A, B, C or E. So D.", "D"),
    ("The only valid choice is D: None of these follows.", "D"),
    ("Answer: E? No — some could be. Answer: D", "D"),
    ("It follows that some fands are not zirps. Answer: A", "A"),
    ("A: Some fands are not zirps.", "A"),
    ("Therefore: Some fands are zirps.\n\nAnswer: B", "B"),
    ("Answer: C.", "C"),
    ("(E) No fands are zirps.", "E"),
    ("No fands are zirps", "E"),
    ('The statement "All fands are zirps" follows. Answer: C', "C"),
    ("Option E", "E"),
    ("e", "E"),
    ("D.", "D"),
    ("**Reasoning:** A fand may be ...\n\n**Answer:** D", "D"),
    ("Antwort: D) None of these follows.", "D"),
    ("The answer is option D) None of these follows.", "D"),
    ("So A.", "A"),
    ("Answer is A", "A"),
    ("A\n\nBecause ...", "A"),
    ("My final choice: A", "A"),
    ("Both are possible, so nothing can be said.", None),
    ("I cannot decide between A and D.", None),
    ("A or D", None),
    ("There's no right option.", None),
]


@pytest.mark.parametrize(("answer", "letter"), ABOUT_SYLLOGISMS)
def test_letters_of_options_that_are_sentences(answer: str, letter: str | None) -> None:
    assert chosen_letter(visible(answer), "ABCDE", SYLLOGISMS)[0] == letter


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from("ABCDEFGHIJ"),
    st.sampled_from(["{}", "({})", "**{}**", "Answer: {}", "The answer is ({}).", "\\boxed{{{}}}", "{}) x"]),
)
def test_each_letter_in_each_form(letter: str, form: str) -> None:
    spec = CheckerSpec("choice", {"options": 10})
    checked = check_choice(spec, form.format(letter), letter)
    assert (checked.canonical, checked.correct) == (letter, True)
    assert not check_choice(spec, form.format(letter), "A" if letter != "A" else "B").correct


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_chooses_one_of_the_letters_or_none(text: str) -> None:
    assert chosen_letter(visible(text), "ABCD", OPTIONS)[0] in {*"ABCD", None}


def test_the_letters_of_the_options() -> None:
    assert letters_of(CheckerSpec("choice", {"options": ["x", "y", "z"]})) == "ABC"
    assert letters_of(CheckerSpec("choice", {"options": 5})) == "ABCDE"
    assert len(letters_of(CheckerSpec("choice"))) == 26


@pytest.mark.parametrize(
    ("answer", "letter"), [("New York", "B"), ("york", "A"), ("It is New York City", "B"), ("York or New York?", "B")]
)
def test_options_that_contain_each_other(answer: str, letter: str) -> None:
    assert chosen_letter(answer, "AB", ["York", "New York"])[0] == letter
