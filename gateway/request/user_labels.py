"""Finds the words of the user in a template of an agent or an app: after a label of theirs, or after documents.

A template is recognised by its beginning. What begins in a user's own words is no template, however much of one it quotes. Lines in
code blocks have no meaning here.
"""

import re
from itertools import islice

from gateway.request.sections import HEADING, SEARCHED_LINES, begins_section, end_of_section, in_code

_LINE_CHARS = 200  # a longer line is no label
_LABEL_CHARS = 24  # of a label before the name of the user's words
_FENCE = "\n```"

# The beginning of a template: it tells the model what it is or has to do, or begins a section.
_TEMPLATE = re.compile(
    r"\s*(?:#{1,6} |\*\*[^*\n]{1,60}\*\*|(?:[=~-]{2,}|\*{3,}) ?\w|\[[A-Z][^\[\]\n]{0,60}\][ \t]*\n|[^\n]{1,100}\n[-=]{3,}[ \t]*\n"
    r"|<[a-zA-Z][\w-]{0,60}>\s*\n|\[\[ ## |You(?:'re| are| will| have| must)\b|Your (?:task|role|job|goal)\b"
    r"|Answer the (?:following|user|human|question)|Respond to the (?:user|human))"
)
_OWN_WORDS = re.compile(r"\b(?:I|I'm|I've|[Mm]y|me|[Ww]e|[Oo]ur)\b|[?？]")  # of a user, in the first paragraph
_OWN_CHARS = 400

_USER = re.compile(
    r"\b(?:user|human)(?:'s|’s)?[ _-](?:(?:original|current|latest|last|new) )?"
    r"(?:input|question|query|request|message|prompt|task)\b"
    r"|\b(?:user|human|customer|client) (?:says|said|asks|asked|writes|wrote)\b"
    r"|(?:用户|用戶|ユーザー)(?:的|の)?(?:问题|問題|输入|輸入|请求|請求|提问|提問|質問|入力|消息|メッセージ)"
    r"|\b(?:be)?nutzer(?:frage|anfrage|eingabe|nachricht)\b|\b(?:frage|anfrage|eingabe|nachricht) des (?:be)?nutzers\b"
    r"|\b(?:question|demande|message) de l['’]utilisateur\b|\b(?:pregunta|consulta|mensaje) del usuario\b"
    r"|\b(?:here is|this is) your task\b|\bgiven the following task\b",
    re.IGNORECASE,
)
_TASK_QUOTED = re.compile(r"(?:your|following) task\Z", re.IGNORECASE)
_UNDERLINE = re.compile(r"\n[-=~]{3,}[ \t]*$", re.MULTILINE)
_COLON = re.compile(r"(?:\*\*)?[:：](?:\*\*)?")
_PURPOSE = re.compile(
    r"\b(?:classif|categori[sz]|extract|translat|summar|rewrit|rephras|reformulat|paraphras|proofread|correct the|improve|convert"
    r"|generat|detect|check|review|verif|validat|whether|rat(?:e|ing)\b|evaluat|judg|grad(?:e|ing)\b|scor(?:e|ing)\b|moderat|intent"
    r"|sentiment|titles?\b|keywords?|writ(?:e|ing)\b|create\b|draft|compos|produce\b|sql\b)",
    re.IGNORECASE,
)
_PURPOSE_CHARS = 400  # at the two ends of what precedes the words of the user
_ANSWERS = re.compile(
    r"\b(?:answer|respond|respons|repl(?:y|ies)\b|help|assist|support|chat|speak|talk|hilf|unterstütz|antwort|回答)",
    re.IGNORECASE,
)
_DOCUMENTS = re.compile(r"^<(context|documents|sources|search_results|knowledge|passages)\b[^<>]{0,200}>", re.MULTILINE)
_ADDRESS = re.compile(r"^(?:[-*] )?(?:(?:You|Your|Answer|Respond|Reply|Du|Sie)\b|你|您)", re.MULTILINE)  # of the model
_TURN = re.compile(r"^(?:Assistant|AI|Bot|Agent|Model)(?: \w{1,20})?:[ \t]*\S", re.MULTILINE)  # of a transcript
_TASK_HEADING = re.compile(r"#{1,6}[ \t]+\**Task\b[^\n]{0,20}\n", re.IGNORECASE)
_REMINDER = re.compile(r"\W{0,4}(?:Remember|Reminder)\b")
_ANSWER_LABEL = re.compile(r"(?:Your |Helpful )?(?:Answer|Response|Assistant|AI):")


def is_template(text: str) -> bool:
    """Return True if `text` begins like a template, and not in a user's own words."""
    if _TEMPLATE.match(text) is None:
        return False
    opening = text.strip()[:_OWN_CHARS].split("\n\n", 1)[0]
    if (name := _USER.search(opening)) is not None:
        opening = opening[: name.start()]
    return opening.startswith(("You are", "You're", "<")) or _OWN_WORDS.search(opening) is None


def works_on_words(template: str) -> bool:
    """Return True if a template has the model classify, extract or rewrite the user's words: then it is part of the question.

    Its first or its last paragraph, before the words, says so.
    """
    return any(map(_PURPOSE.search, _ends(template)))


def answers_words(template: str) -> bool:
    """Return True if a template has the model answer the user's words, and do nothing else with them."""
    return any(map(_ANSWERS.search, _ends(template))) and not works_on_words(template)


def _ends(template: str) -> tuple[str, str]:
    """Return the first and the last paragraph of a template."""
    first = template[:_PURPOSE_CHARS].split("\n\n", 1)[0]
    return first, template.rstrip()[-_PURPOSE_CHARS:].rpartition("\n\n")[2]


def task_section(text: str) -> str | None:
    """Return the section with the heading Task at the beginning of a text; None if there is none."""
    heading = _TASK_HEADING.match(text)
    if heading is None:
        return None
    following = HEADING.search(text, heading.end())
    return text[heading.end() : following.start() if following else None].strip() or None


def after_label(text: str) -> str | None:
    """Return what follows the first label of the user's words in a template, up to the sections about the answer."""
    found = ((name, _user_label(text, name)) for name in islice(_USER.finditer(text), SEARCHED_LINES))
    name, label = next(((name, label) for name, label in found if label is not None), (None, None))
    if name is None or label is None or in_code(text, label[0]):
        return None
    start, end = label
    again = _USER.search(text, end, end + _LINE_CHARS)
    if again is not None and (second := _user_label(text, again)) and not text[end : second[0]].strip():
        end = second[1]
    question = text[end : end_of_section(text, start, end)].strip()
    if _TASK_QUOTED.search(name.group()):
        close = question.rfind(_FENCE)
        return question[4:close].strip() or None if question.startswith("```\n") and close > 0 else None
    before = text[:start].strip()
    if before.startswith("#") and (text[start] != "#" or _ADDRESS.search(before) is None):  # a user's own document
        return None
    if (before and not answers_words(before)) or _TURN.search(question):
        return None
    return _without_end(question)


def _user_label(text: str, name: re.Match[str]) -> tuple[int, int] | None:
    """Return where the label of the user's words begins and ends, if the line with this name of them is such a label.

    A label is a heading, a bold line, a banner, an underlined line, a line with a colon at its end, or the name with a colon before
    the text.
    """
    start = text.rfind("\n", max(0, name.start() - _LABEL_CHARS), name.start()) + 1
    if name.start() - start > _LABEL_CHARS:
        return None
    end = text.find("\n", name.end(), name.end() + _LINE_CHARS)
    if end < 0:
        end = min(len(text), name.end() + _LINE_CHARS)
    line = text[start:end].rstrip()
    underline = _UNDERLINE.match(text, end)
    if underline is not None:
        return start, underline.end()
    colon = _COLON.match(text, name.end())
    if colon is not None and not begins_section(line) and text[start : name.start()].strip("* ").lower() in ("", "the"):
        return start, colon.end()
    return (start, end) if begins_section(line) or line.endswith((":", "：")) else None


def after_documents(text: str) -> str | None:
    """Return what follows the documents of a template that has the model answer the user: the question."""
    opening = _DOCUMENTS.search(text)
    if opening is None or in_code(text, opening.start()):
        return None
    before = text[: opening.start()]
    purpose = before[:_PURPOSE_CHARS].split("\n\n", 1)[0]
    if _USER.search(before) is None or _ANSWERS.search(before) is None or _PURPOSE.search(purpose):
        return None
    closing = f"</{opening.group(1)}>"
    close = text.find(closing, opening.end())
    rest = "" if close < 0 else text[close + len(closing) :].strip()
    name = _USER.search(rest, 0, _LINE_CHARS)
    label = None if name is None else _user_label(rest, name)
    return _without_end(rest[label[1] if label is not None and label[0] == 0 else 0 :])


def _without_end(text: str) -> str | None:
    """Return `text` without a last line such as `Answer:`, and without a reminder before it; None if nothing is left."""
    text = text.strip()
    earlier, _, last = text.rpartition("\n")
    if _ANSWER_LABEL.fullmatch(last):
        text = earlier.rstrip()
    earlier, _, last = text.rpartition("\n\n")
    return (earlier.rstrip() if earlier and _REMINDER.match(last) else text) or None
