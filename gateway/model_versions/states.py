"""The states of models and deployments: how far routing trusts each. Imports little, so that commands start quickly."""

from typing import Literal, get_args

State = Literal["declared", "probing", "shadow", "limited", "live", "suspect", "quarantined"]
STATES: tuple[State, ...] = get_args(State)
SETTABLE: tuple[State, ...] = ("shadow", "limited", "live", "suspect", "quarantined")  # by an operator
OF_DEPLOYMENTS: tuple[State, ...] = ("live", "suspect", "quarantined")  # those that mean something for one deployment
MOST_REASON = 500  # characters
