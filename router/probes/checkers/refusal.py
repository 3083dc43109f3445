"""Answers that refuse to answer, and those that say that they have none."""

import re

MOST_CHARACTERS = 600
_REFUSALS = re.compile(
    r"^\W{0,5}(?:(?:i'm|i am|we're) (?:very |really |so )?(?:sorry|afraid)|sorry|i apologi[sz]e|unfortunately|"
    r"i (?:can't|cannot|can not|won't|am unable to|am not able to|must decline|don't feel comfortable)|"
    r"as an ai\b|es tut mir leid|tut mir leid|leider kann ich|ich kann (?:dir |ihnen )?(?:dabei |damit )?(?:leider )?nicht|"
    r"je suis désolée?|désolée?|je ne peux pas|lo siento|lamento|no puedo|mi dispiace|non posso|sinto muito|desculpe|não posso|"
    r"het spijt me|ik kan (?:u |je )?(?:daar)?(?:niet|geen)|"
    r"извините|к сожалению|я не могу|申し訳|すみません|抱歉|对不起|很抱歉|我无法|我不能|"
    r"죄송)",
    re.IGNORECASE,
)
_DECLINED = re.compile(
    r"(?:can't|cannot|can not|won't|unable|not able|decline|"
    r"kann (?:\w+ ){0,4}nicht|ne peux pas|no puedo|non posso|não posso|kan (?:\w+ ){0,3}(?:niet|geen)|"
    r"не могу|できません|出来ません|いたしかね|无法|不能|않습니다|없습니다|not comfortable|must decline)",
    re.IGNORECASE,
)
_KNOWS_NOTHING = re.compile(
    r"^\W{0,5}(?:i (?:really |honestly )?(?:don't|do not) know|i(?:'m| am) not (?:sure|certain)|(?:i have )?no idea|"
    r"ich weiß (?:es )?nicht|"
    r"(?:das )?weiß ich nicht|je ne sais pas|no (?:lo )?sé|non (?:lo )?so|não sei|ik weet het niet|(?:я )?не знаю|nie wiem|"
    r"わかりません|分かりません|(?:我)?不(?:知道|清楚)|모르겠)",
    re.IGNORECASE,
)
_BUT = re.compile(r"(?<!\w)(?:but|aber|mais|pero|ma|mas|maar|но|ale)(?!\w)|但|が、", re.IGNORECASE)
MOST_WITHOUT_ANSWER = 160


def is_refusal(text: str) -> bool:
    """Return True for a short visible text that starts as a refusal and says that it cannot or will not."""
    text = text.replace("’", "'").strip()
    return len(text) <= MOST_CHARACTERS and bool(_REFUSALS.match(text)) and bool(_DECLINED.search(text))


def knows_nothing(text: str) -> bool:
    """Return True for a short visible text that says no more than that it does not know the answer."""
    text = text.replace("’", "'").strip()
    return len(text) <= MOST_WITHOUT_ANSWER and bool(_KNOWS_NOTHING.match(text)) and not _BUT.search(text)
