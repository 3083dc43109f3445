"""What answers vote for: answers as models write them, in several languages and forms, and the key that each must have."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.json_types import JsonObject
from gateway.ensemble.answer_key import answer_key
from gateway.ensemble.key import Key, Kind
from gateway.request.chat_request import ChatRequest, parse_chat
from router.probes.checkers.answer import Answer
from router.probes.json_types import JsonObject as Call

CAPITAL = "Which city is the capital of Australia?"
OPTIONS = "What is the capital of Italy?\nA. Paris\nB. Rome\nC. Athens\nD. Lisbon\nAnswer with the letter."
INLINE = "A ball falls for 2 s. How fast is it? (A) 9.8 m/s (B) 19.6 m/s (C) 4.9 m/s"
APPLES = "Ann has 5 bags with 6 apples each and eats 2. How many apples are left?"
MATHS = "Simplify the expression and give the exact result."
INTERVAL = "Solve the inequality and give the solution set."
ESSAY = "Write an essay about the history of Rome."
YES_NO = "Is the Nile longer than the Rhine?"
CODE = "Write a function that reverses a string."
OUTLINE = "Write a report with this outline:\nA. Introduction\nB. Methods\nC. Results"
ALL = "Which are prime? Select all that apply.\nA) 2\nB) 4\nC) 5\nD) 9"

LONG = "Rome grew from a village on the Tiber to the capital of an empire that reached from Britain to Egypt. " * 6
COT = (
    "Let us go through this step by step. First we look at what is given, then at what is asked, and then we compute. "
    * 8
)

PYTHON = "```python\ndef reverse(text):\n    result = text[::-1]\n    return result\n```"

ANSWERS: list[tuple[str, str, tuple[Kind, str] | None]] = [
    # options
    (OPTIONS, "B", ("choice", "B")),
    (OPTIONS, "**B**", ("choice", "B")),
    (OPTIONS, "B) Rome", ("choice", "B")),
    (OPTIONS, "(b)", ("choice", "B")),
    (OPTIONS, "Rome", ("choice", "B")),
    (OPTIONS, "The capital of Italy is **Rome**.", ("choice", "B")),
    (OPTIONS, "$\\boxed{\\text{B}}$", ("choice", "B")),
    (OPTIONS, "<think>A? No, that is France.</think>\n\nThe answer is (B).", ("choice", "B")),
    (OPTIONS, f"{COT}\n\nThe answer is (B).", ("choice", "B")),
    (OPTIONS, f"{COT}\n\nTherefore, the correct option is **B. Rome**.", ("choice", "B")),
    (OPTIONS, f"{COT}\n\n**Final Answer**\n\n\\boxed{{B}}", ("choice", "B")),
    (OPTIONS, f"**Answer: B**\n\n**Explanation:** {COT}", ("choice", "B")),
    (OPTIONS, "A. Paris is in France.\nB. Rome fits.\nC. Athens does not.\n\nSo the answer is B.", ("choice", "B")),
    (OPTIONS, "A. Paris is in France.\nB. Rome is in Italy.\nC. Athens is in Greece.", None),
    (OPTIONS, '{"answer": "B"}', ("choice", "B")),
    (OPTIONS, "答案：B", ("choice", "B")),
    (OPTIONS, "正解は（Ｂ）です。", ("choice", "B")),
    (OPTIONS, "Die richtige Antwort ist B.", ("choice", "B")),
    (OPTIONS, "La réponse est la B.", ("choice", "B")),
    (OPTIONS, "Ответ: B", ("choice", "B")),
    (OPTIONS, "Answer: A. No, wait, that is France. Answer: B", ("choice", "B")),
    (OPTIONS, "The answer is A because Paris lies on the Seine.", ("choice", "A")),
    (INLINE, "19.6 m/s", ("choice", "B")),
    (INLINE, "v = g·t = 9.8 · 2 = 19.6\n\nAnswer: (B)", ("choice", "B")),
    ("北京在哪个国家？ A、中国 B、日本 C、法国", "选A", ("choice", "A")),
    (ALL, "A and C", ("choice", "A,C")),
    (ALL, "Answer: C, A", ("choice", "A,C")),
    (ALL, "**AC**", ("choice", "A,C")),
    (OUTLINE, f"A. Introduction\n{LONG}\nB. Methods\n{LONG}\nC. Results\n{LONG}", None),
    (OUTLINE, f"## A. Introduction\n\n{LONG}\n\n## B. Methods\n\n{LONG}\n\n## C. Results\n\n{LONG}", None),
    # numbers
    (APPLES, "28", ("number", "28")),
    (APPLES, "28.0", ("number", "28")),
    (APPLES, "**28 apples**", ("number", "28")),
    (APPLES, "There are 28 apples left.", ("number", "28")),
    (APPLES, "Twenty-eight", ("number", "28")),
    (APPLES, "5 × 6 = 30\n30 − 2 = 28\n\nSo **28** apples are left.", ("number", "28")),
    (APPLES, f"{COT}\n\nAnn has 28 apples left.", ("number", "28")),
    (APPLES, f"{COT}\n#### 28", ("number", "28")),
    (APPLES, f"{COT}\n\n**Answer: 28**", ("number", "28")),
    (APPLES, f"{COT}\n\nThe final answer is $\\boxed{{28}}$.", ("number", "28")),
    (APPLES, "Answer: 28 apples (30 − 2 = 28)", ("number", "28")),
    (APPLES, "The answer is 28, because 5 times 6 is 30.", ("number", "28")),
    (APPLES, "Es sind noch 28 Äpfel übrig.", ("number", "28")),
    (APPLES, "答案是28个。", ("number", "28")),
    (APPLES, "الإجابة: ٢٨", ("number", "28")),
    ("What is 1000 * 1234.5?", "1,234,500", ("number", "1234500")),
    ("What is 1000 * 1234.5?", "$1{,}234{,}500$", ("number", "1234500")),
    ("In which year did the Berlin Wall fall?", "The Berlin Wall fell in 1989.", ("number", "1989")),
    (MATHS, "x = -3", ("number", "-3")),
    (MATHS, "\\boxed{\\frac{3}{4}}", ("number", "0.75")),
    (MATHS, "x = 3 or x = 5", ("short", "x=3orx=5")),
    (MATHS, "The solutions are \\boxed{3} and \\boxed{5}.", ("number", "3|5")),
    (MATHS, "(a) Answer: 3\n(b) Answer: 5", ("number", "3|5")),
    # terms of mathematics
    (MATHS, "\\boxed{\\frac{\\pi}{2}}", ("short", "π/2")),
    (MATHS, "Answer: π/2", ("short", "π/2")),
    (MATHS, "$-\\dfrac{\\pi}{2}$", ("short", "-π/2")),
    (MATHS, "\\boxed{2\\sqrt{3}}", ("short", "2√3")),
    (MATHS, "Answer: 2√3", ("short", "2√3")),
    (MATHS, "\\boxed{x = \\pm 3}", ("short", "±3")),
    (MATHS, "\\boxed{3x}", ("short", "3x")),
    (INTERVAL, "\\boxed{(-\\infty, 2]}", ("short", "(-∞,2]")),
    (INTERVAL, "$\\boxed{\\left(-\\infty, 2\\right)}$", ("short", "(-∞,2)")),
    (INTERVAL, "x < 5", ("short", "x<5")),
    # short texts
    (CAPITAL, "Canberra", ("short", "canberra")),
    (CAPITAL, "**Canberra.**", ("short", "canberra")),
    (CAPITAL, "The capital of Australia is **Canberra**.", ("short", "canberra")),
    (CAPITAL, "The capital of Australia is Canberra.", ("short", "canberra")),
    (CAPITAL, "Answer: Canberra, not Sydney", ("short", "canberra")),
    (CAPITAL, "The answer is Canberra. It was chosen in 1908.", ("short", "canberra")),
    (CAPITAL, "<answer>Canberra</answer>", ("short", "canberra")),
    (CAPITAL, "```\nCanberra\n```", ("short", "canberra")),
    (CAPITAL, "Die Antwort lautet: Canberra", ("short", "canberra")),
    ("日本の首都は？", "答え：東京", ("short", "東京")),
    ("Who wrote The Hobbit?", "Answer: J. R. R. Tolkien", ("short", "j. r. r. tolkien")),
    ("Which language has pointers?", "C#", ("short", "c#")),
    ("Which language has pointers?", "C", ("short", "c")),
    ("Which mission landed first?", "Answer: Apollo 11", ("short", "apollo 11")),
    ("Which film is it?", "Answer: 12 Angry Men", ("short", "12 angry men")),
    ("What is the ratio?", "Answer: 3:1", ("short", "3:1")),
    ("When does it start?", "16:53", ("short", "16:53")),
    (YES_NO, "Yes.", ("short", "yes")),
    (YES_NO, f"**Yes**, the Nile is longer. {LONG}", ("short", "yes")),
    (YES_NO, "No, it is shorter.", ("short", "no")),
    ("La Terre est-elle plate ? Réponds par oui ou non.", "Non.", ("short", "no")),
    ("Can you write a poem for me?", f"Yes, of course! {LONG}", None),
    # JSON that the prompt asks for
    ("Give name and age as JSON.", '```json\n{"age": 36.0, "name": "Ada"}\n```', ("json", '{"age":36,"name":"Ada"}')),
    ("Give name and age as JSON.", '{"name": "Ada", "age": 36}', ("json", '{"age":36,"name":"Ada"}')),
    # nothing to count: prose, code, refusals, no answers
    (ESSAY, LONG, None),
    (ESSAY, f"# The History of Rome\n\n{LONG}\n\nIt is still the capital in 2024", None),
    (ESSAY, f"{LONG}\n\nThe result: a city of 2.8 million people, {LONG}", None),
    (ESSAY, f"{LONG}\n\nBest regards,\n[Your Name]", None),
    (ESSAY, f"Sure!\n\n{LONG}", None),
    (
        ESSAY,
        f"{LONG}\n\nThe answer is no longer simple, as the city has changed and historians differ about its beginning.",
        None,
    ),
    (ESSAY, f"{LONG}\n{LONG}\nThe answer is complex.\n\n{LONG}\n\n{LONG}\n\n{LONG}\n\n{LONG}", None),
    ("Suggest a title for our review of the year.", "Celebrating 2024", ("short", "celebrating 2024")),
    ("Suggest a title for our review of the year.", "2024 Unwrapped", ("short", "2024 unwrapped")),
    ("List the first primes.", "2\n3\n5\n7", ("short", "2 3 5 7")),
    (CODE, PYTHON, None),
    (CODE, f"Here is the solution:\n\n{PYTHON}\n\nIt runs in O(n) and needs 1 copy.", None),
    (CODE, f"Solution:\n{PYTHON}", None),
    (CODE, f"{PYTHON}\n\nThe output is `olleh`.", None),
    (CAPITAL, "I'm sorry, but I can't help with that.", None),
    (CAPITAL, "Es tut mir leid, dabei kann ich nicht helfen.", None),
    (CAPITAL, "抱歉，我无法回答这个问题。", None),
    (CAPITAL, "I don't know.", None),
    (CAPITAL, "Je ne sais pas.", None),
    (CAPITAL, "I'm not sure, but the answer is Canberra.", ("short", "canberra")),
    (CAPITAL, "", None),
    (CAPITAL, "<think>Sydney or Canberra? Let me think about", None),
]


@pytest.mark.parametrize(("query", "text", "key"), ANSWERS, ids=range(len(ANSWERS)))
def test_what_a_text_votes_for(query: str, text: str, key: tuple[Kind, str] | None) -> None:
    assert answer_key(Answer(text), request(query)) == key


SAME: list[tuple[str, str, str]] = [
    ("What are the roots?", f"{COT}\n\n**Answer:** $x = 2$ and $x = 3$", "Answer: x=2 and x=3"),
    ("Find the derivative.", "f'(x) = 2x", "\\boxed{2x}"),
    (
        "Find the matrix.",
        "\\boxed{\\begin{pmatrix} 1 & 2 \\end{pmatrix}}",
        "\\boxed{\\begin{pmatrix}1&2\\end{pmatrix}}",
    ),
    (MATHS, "\\boxed{\\ln 2}", "Answer: ln(2)"),
    (MATHS, "\\boxed{x^2 + 2x + 1}", "$\\boxed{x^{2}+2x+1}$"),
    (MATHS, "\\boxed{\\frac{1}{2x}}", "Answer: 1/(2x)"),
    (MATHS, "\\boxed{e^{2x}}", "Answer: e^(2x)"),
    (MATHS, "\\boxed{12\\text{ cm}^2}", "\\boxed{12}"),
    (MATHS, "\\boxed{\\text{No solution}}", "Answer: no solution"),
    (MATHS, "\\boxed{90^\\circ}", "Answer: 90°"),
    ("How much does it cost?", "$45.60", "It costs 45.6 dollars in total."),
    ("How many are there?", "About 1.5 million", "1,500,000"),
    ("What is 17 * 3?", "The product of 17 and 3 is 51.", "17 × 3 = **51**"),
    ("What does this print?", "```\n[1, 2]\n```", "[1,2]"),
    ("Which command lists files?", "`ls -l`", "ls -l"),
    ("Was ist die Hauptstadt von Peru?", "Die Hauptstadt von Peru ist Lima.", "Lima"),
    ("Кто написал «Войну и мир»?", "Лев Толстой", "«Войну и мир» написал **Лев Толстой**."),
    ("日本の首都は？", "東京です。", "「東京」"),
    (YES_NO, "Answer: No", "No, it is shorter."),
]


@pytest.mark.parametrize(("query", "one", "other"), SAME, ids=range(len(SAME)))
def test_one_answer_in_two_forms_counts_as_one(query: str, one: str, other: str) -> None:
    keys = [answer_key(Answer(text), request(query)) for text in (one, other)]
    assert keys[0] is not None
    assert keys[0] == keys[1]


DIFFERENT: list[tuple[str, str, str]] = [
    ("What are the roots?", f"{COT}\n\nThe answer is x = 2 or x = 3.", f"{COT}\n\nThe answer is x = 5 or x = 3."),
    ("Solve 2*3 + x = 7 and y = 2*x.", "We get:\nx = 1\ny = 2", "We get:\nx = 4\ny = 2"),
    ("Find the derivative.", "2x", "-2x"),
    (MATHS, "\\boxed{x_1}", "\\boxed{x_2}"),
    (MATHS, "10^{-3}", "10^{3}"),
    (MATHS, "\\boxed{\\frac{1}{2x}}", "\\boxed{\\frac{1}{2}x}"),
    (MATHS, "\\boxed{\\sqrt{3x}}", "\\boxed{\\sqrt{3}x}"),
    (MATHS, "\\boxed{e^{2x}}", "\\boxed{e^{2}x}"),
    (MATHS, "\\boxed{2\\frac{1}{3}x}", "\\boxed{\\frac{21}{3}x}"),
    (MATHS, "\\boxed{\\ln(2x)}", "\\boxed{\\ln(2)x}"),
    ("Which is bigger, Rome or Paris?", "Rome is bigger.", "Paris is bigger."),
    ("Is Rome bigger than Paris, or Paris?", "Rome is bigger.", "Paris is bigger."),
    ("What is the postal code?", "02139", "2139"),
    ("What is the file called?", "a_b.py", "ab.py"),
    ("What is the regular expression?", "`^a*b$`", "`^ab$`"),
    ("Rank them.", "1. Ann\n2. Bob", "1. Bob\n2. Ann"),
    ("Rank them.", "Ann > Bob", "Bob > Ann"),
    ("Write a story that ends in 2024.", f"{LONG}\n\n2024", f"{LONG} The end.\n\n2024"),
    ("Explain gravity.", f"{LONG}\n\nAnswer: it pulls.", f"{LONG}\n\nAnswer: it bends."),
    ("Write a plan.", f"{LONG}\n5. Conclusion", f"{LONG}\n5. Outlook"),
]


@pytest.mark.parametrize(("query", "one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_different_answers_that_look_alike_do_not_count_as_one(query: str, one: str, other: str) -> None:
    keys = [answer_key(Answer(text), request(query)) for text in (one, other)]
    assert keys[0] is None or keys[0] != keys[1]


@settings(max_examples=50, deadline=None)
@given(st.text(), st.sampled_from([CAPITAL, OPTIONS, APPLES, YES_NO, MATHS]))
def test_any_text_has_a_bounded_key_or_none(text: str, query: str) -> None:
    key = answer_key(Answer(text), request(query))
    assert key is None or len(key.value) < 300


CUT: list[tuple[str, str, tuple[Kind, str] | None]] = [
    (APPLES, "First, 5 × 6 = 30. Then we take away", None),
    (APPLES, "28", None),
    (APPLES, f"**Answer: 28**\n\nExplanation: {COT}", ("number", "28")),
    (APPLES, f"{COT} So it is \\boxed{{28}}. Let me check", ("number", "28")),
    (OPTIONS, "The answer is B", None),
    (OPTIONS, f"Answer: B\n\n{COT}", ("choice", "B")),
    (CAPITAL, '{"city": "Canberra"}', None),
]


@pytest.mark.parametrize(("query", "text", "key"), CUT)
def test_a_cut_text_votes_only_for_what_it_had_stated_before(
    query: str, text: str, key: tuple[Kind, str] | None
) -> None:
    assert answer_key(Answer(text, finish_reason="length"), request(query)) == key
    assert answer_key(Answer(text, finish_reason="content_filter"), request(query)) is None


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
ADA: tuple[Kind, str] = ("json", '{"age":36,"name":"Ada"}')
JSONS: list[tuple[JsonObject, str, tuple[Kind, str] | None]] = [
    (BY_SCHEMA, '{"name": "Ada", "age": 36}', ADA),
    (BY_SCHEMA, '{\n  "age": 36.0,\n  "name": "Ada"\n}', ADA),
    (BY_SCHEMA, '```json\n{"name": "Ada", "age": 36}\n```', ADA),
    (BY_SCHEMA, '<think>{"name": "?"}</think>\n{"name": "Ada", "age": 36}', ADA),
    (BY_SCHEMA, '{"name": "Ada", "age": "36"}', None),
    (BY_SCHEMA, '{"name": "Ada"}', None),
    (BY_SCHEMA, 'Here it is: {"name": "Ada", "age": 36}', None),
    (BY_SCHEMA, '{"name": "Ada", "age": 36', None),
    (BY_SCHEMA, "I'm sorry, I can't do that.", None),
    ({"type": "json_object"}, '{"name": "Ada", "age": 36}', ADA),
    ({"type": "json_object"}, '["Ada", 36]', None),
    ({"type": "json_object"}, "{" * 5_000, None),
]


@pytest.mark.parametrize(("form", "text", "key"), JSONS, ids=range(len(JSONS)))
def test_json_counts_where_the_request_asks_for_it(form: JsonObject, text: str, key: tuple[Kind, str] | None) -> None:
    asked = request("Who was it?", response_format=form)
    assert answer_key(Answer(text), asked) == key
    assert answer_key(Answer(text, finish_reason="length"), asked) is None


def test_long_json_is_compared_as_a_whole() -> None:
    asked = request("List them.", response_format={"type": "json_object"})
    items = [f"item {i}" for i in range(5_000)]
    same = [answer_key(Answer(json.dumps({"items": items}, indent=indent)), asked) for indent in (None, 2)]
    other = answer_key(Answer(json.dumps({"items": [*items[:2_500], "another", *items[2_501:]]})), asked)
    assert same[0] is not None
    assert same[0] == same[1] != other
    assert other is not None
    assert len(other.value) < 300


def test_a_schema_that_cannot_be_checked_allows_every_object() -> None:
    schema = {"type": "object", "patternProperties": {"^x": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert answer_key(Answer('{"x1": 1}'), request("x?", response_format=form)) == ("json", '{"x1":1}')


def call(name: str, arguments: str) -> Call:
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = Key("tools", '[{"arguments":{"city":"Rome","days":2},"name":"weather"}]')
BOTH = Key("tools", '[{"arguments":{"city":"Rome","days":2},"name":"weather"},{"arguments":{},"name":"now"}]')
CALLS: list[tuple[list[Call], Key | None]] = [
    ([call("weather", '{"city": "Rome", "days": 2}')], WEATHER),
    ([call("weather", '{"days": 2.0, "city": "Rome"}')], WEATHER),
    ([call("weather", '{"city": "Rome", "days": 2}'), call("now", "")], BOTH),
    ([call("now", "{}"), call("weather", '{"days":2,"city":"Rome"}')], BOTH),
    ([call("weather", '{"city": "Rome", "days":')], None),
    ([call("weather", '"Rome"')], None),
]


@pytest.mark.parametrize(("calls", "key"), CALLS, ids=range(len(CALLS)))
def test_tool_calls_count_by_name_and_arguments(calls: list[Call], key: Key | None) -> None:
    assert answer_key(Answer("Let me look.", calls, "tool_calls"), request("Weather in Rome?")) == key
    assert answer_key(Answer("", calls, "length"), request("Weather in Rome?")) is None


def request(query: str, **fields: object) -> ChatRequest:
    messages = [{"role": "user", "content": query}]
    return parse_chat(json.dumps({"model": "auto", "messages": messages, **fields}).encode())
