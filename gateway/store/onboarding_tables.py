"""The tables of onboarding; see `gateway.store.tables`."""

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, Table, Text, text

from gateway.store.metadata import METADATA, ROW_ID, count

# One row per probe that was asked. It is written before the call, so that no paid answer is lost and no cost is forgotten.
PROBE_ANSWERS = Table(
    "probe_answers",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("caller", Text, nullable=False),  # such as system:onboarding
    Column("model", Text, nullable=False),
    Column("deployment", Text),  # that answered
    Column("bank", Text, nullable=False),
    Column("probe", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the probe as it was asked: a bank may change
    Column("ask", Integer, nullable=False),  # grows when a model is onboarded again
    Column("time", Double, nullable=False),
    Column("state", Text, nullable=False),  # asked, answered, graded or unanswered
    Column("tries", Integer, nullable=False, server_default=text("0")),
    count("reserved_nusd"),  # the highest cost of the calls whose cost is not known yet
    count("nusd"),  # of the others; a call without a known price counts 0
    count("unpriced_calls"),
    count("prompt_tokens"),
    count("completion_tokens"),
    Column("answer", JSON(none_as_null=True)),  # until it is graded
    Column("canonical", Text),  # what the checker took out of the answer
    Column("score", Double),
    Column("reason", Text),  # why there is no score
    Column("fingerprint", Text),
    Column("response_model", Text),
    Index("probe_answers_by_model", "model", "ask"),
    Index("probe_answers_by_bank", "bank"),
)
# The last onboarding of each model: whether it waits, runs or has ended.
ONBOARDING_JOBS = Table(
    "onboarding_jobs",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("id", Text, nullable=False),  # the same for models that are onboarded together
    Column("options", JSON, nullable=False),  # the fields of `gateway.config.onboarding.OnboardEntry`
    Column("ask", Integer, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, stopping, stopped, done or failed
    Column("runner", Text, nullable=False),  # gateway or command
    Column("owner", Text),  # the process that runs it
    Column("beat", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    Column("progress", JSON(none_as_null=True)),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("version", BigInteger),  # of the embedding that came of it
)
