"""What is asked and answered: the text of an answer follows from the nonce in the question, so that every reader can check it."""

import hashlib
import re

from tests.clients.provider import embedding

NONCE = re.compile(r"soak-[0-9a-f]{16}")


def question(nonce: str) -> str:
    return f"Please say the whole of {nonce}, word by word, and do not leave any of it out."


def answer_text(nonce: str) -> str:
    """The answer that most providers give to a question with this nonce: 10 to 59 numbered words."""
    words = 10 + int(hashlib.sha256(nonce.encode()).hexdigest(), 16) % 50
    return f"{nonce} says " + " ".join(f"w{i}" for i in range(words)) + f" and that is all of {nonce}."


def other_text(nonce: str) -> str:
    """The answer of the provider that always begins differently."""
    words = 10 + int(hashlib.sha256(nonce[::-1].encode()).hexdigest(), 16) % 50
    return f"In other words, {nonce} holds " + " ".join(f"v{i}" for i in range(words)) + f" until {nonce} ends."


def is_whole(nonce: str, text: str) -> bool:
    return text in (answer_text(nonce), other_text(nonce))


def vector(text: str) -> list[float]:
    """The vector of a text; 32 bits hold its numbers exactly."""
    return embedding(text)
