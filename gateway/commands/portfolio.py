"""`locus portfolio`: the commands over the model space, and advice from the record."""

from gateway.commands.advise import advise
from router.commands.portfolio import portfolio

portfolio.add_command(advise)

__all__ = ["portfolio"]
