"""SQLite files of versions that recorded no schema version: the record with columns without types, or the stored responses.

The requests are copied into a table with types; the tables of stored responses are kept. All other tables are new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BEFORE = "requests_before_0001"
# Of the first versions of the stored responses: a response contained its output, and chains had no owner.
_OUTPUT_APART = """
ALTER TABLE responses ADD COLUMN output BLOB NOT NULL DEFAULT '[]';
UPDATE responses SET output = CAST(json_extract(CAST(response AS TEXT), '$.output') AS BLOB),
    response = CAST(json_remove(CAST(response AS TEXT), '$.output') AS BLOB);
ALTER TABLE chains ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE chains SET owner = (SELECT owner FROM responses WHERE responses.chain = chains.chain LIMIT 1)
    WHERE chain IN (SELECT chain FROM responses);
"""
_TABLES = """
CREATE TABLE budgets ( scope TEXT NOT NULL, period TEXT NOT NULL, start BIGINT NOT NULL, limit_nusd BIGINT, spent_nusd BIGINT
    DEFAULT 0 NOT NULL, expected_nusd BIGINT DEFAULT 0 NOT NULL, worst_nusd BIGINT DEFAULT 0 NOT NULL, leases BIGINT DEFAULT 0
    NOT NULL, PRIMARY KEY (scope, period, start) );
CREATE TABLE IF NOT EXISTS chains ( chain INTEGER NOT NULL, used DOUBLE NOT NULL, rows BIGINT NOT NULL, bytes BIGINT NOT NULL,
    owner TEXT DEFAULT '' NOT NULL, PRIMARY KEY (chain) );
CREATE INDEX IF NOT EXISTS chains_owner ON chains (owner, used);
CREATE INDEX IF NOT EXISTS chains_used ON chains (used);
CREATE TABLE IF NOT EXISTS items ( owner TEXT NOT NULL, id TEXT NOT NULL, response TEXT NOT NULL, chain BIGINT NOT NULL,
    PRIMARY KEY (owner, id) ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_chain ON items (chain);
CREATE TABLE keys ( id TEXT NOT NULL, digest BLOB NOT NULL, digest2 BLOB, digest2_until DOUBLE, name TEXT NOT NULL, team TEXT,
    access JSON NOT NULL, created DOUBLE NOT NULL, revoked DOUBLE, PRIMARY KEY (id) );
CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked IS NULL;
CREATE TABLE secrets ( name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (name) );
CREATE TABLE leases ( id TEXT NOT NULL, key_id TEXT, team TEXT, windows JSON NOT NULL, parallel JSON NOT NULL, began DOUBLE NOT
    NULL, spent_nusd BIGINT DEFAULT 0 NOT NULL, expected_nusd BIGINT DEFAULT 0 NOT NULL, worst_nusd BIGINT DEFAULT 0 NOT NULL,
    places BIGINT DEFAULT 0 NOT NULL, deadline DOUBLE NOT NULL, swept_nusd BIGINT, estimated_nusd BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id) );
CREATE INDEX leases_by_deadline ON leases (deadline);
CREATE TABLE ledger ( id INTEGER NOT NULL, time DOUBLE NOT NULL, request_id TEXT, call INTEGER DEFAULT 0 NOT NULL, lease TEXT,
    key_id TEXT, key_name TEXT, team TEXT, policy TEXT, model TEXT, deployment TEXT, prompt_tokens BIGINT DEFAULT 0 NOT NULL,
    completion_tokens BIGINT DEFAULT 0 NOT NULL, cached_tokens BIGINT DEFAULT 0 NOT NULL, cache_write_5m_tokens BIGINT DEFAULT
    0 NOT NULL, cache_write_1h_tokens BIGINT DEFAULT 0 NOT NULL, reasoning_tokens BIGINT DEFAULT 0 NOT NULL,
    prompt_audio_tokens BIGINT DEFAULT 0 NOT NULL, completion_audio_tokens BIGINT DEFAULT 0 NOT NULL, nusd BIGINT, estimated
    BOOLEAN DEFAULT false NOT NULL, PRIMARY KEY (id) );
CREATE INDEX ledger_by_lease ON ledger (lease) WHERE lease IS NOT NULL;
CREATE INDEX ledger_by_time ON ledger (time, id);
CREATE TABLE portfolios ( id TEXT NOT NULL, models JSON NOT NULL, PRIMARY KEY (id) );
CREATE TABLE rates ( scope TEXT NOT NULL, kind TEXT NOT NULL, cells JSON NOT NULL, PRIMARY KEY (scope, kind) );
CREATE TABLE recorders ( id TEXT NOT NULL, batch BIGINT NOT NULL, time DOUBLE NOT NULL, PRIMARY KEY (id) );
CREATE TABLE replicas ( id TEXT NOT NULL, replica TEXT NOT NULL, machine TEXT NOT NULL, process BIGINT NOT NULL, sharing TEXT NOT
    NULL, began DOUBLE NOT NULL, beat DOUBLE NOT NULL, PRIMARY KEY (id) );
CREATE TABLE requests ( id INTEGER NOT NULL, request_id TEXT NOT NULL, time DOUBLE NOT NULL, requested TEXT, policy TEXT,
    chosen TEXT, served TEXT, deployment TEXT, p_correct DOUBLE, stand_in_distance DOUBLE, predicted_loss DOUBLE, candidates
    JSON, failover JSON, parts JSON, stream BOOLEAN, status INTEGER, error TEXT, prompt_tokens BIGINT, completion_tokens
    BIGINT, usage_estimated BOOLEAN, cost_nusd BIGINT, cost_usd DOUBLE GENERATED ALWAYS AS (cost_nusd / 1e9) STORED,
    latency_ms DOUBLE, first_token_ms DOUBLE, overhead_ms DOUBLE, prompt
    JSON, api TEXT, conversation TEXT, simulated BOOLEAN, key_id TEXT, key_name TEXT, team TEXT, end_user TEXT,
    safety_identifier TEXT, metadata JSON, tags JSON, cached_tokens BIGINT, cache_write_tokens BIGINT, reasoning_tokens
    BIGINT, propensity DOUBLE, checkpoint TEXT, trace_id TEXT, cache TEXT, portfolio TEXT, all_candidates BLOB, encoding BLOB,
    surface BLOB, PRIMARY KEY (id) );
CREATE INDEX requests_by_time ON requests (time, id);
CREATE TABLE IF NOT EXISTS responses ( owner TEXT NOT NULL, id TEXT NOT NULL, chain BIGINT NOT NULL, previous TEXT, session
    TEXT, bytes BIGINT NOT NULL, input BLOB NOT NULL, response BLOB NOT NULL, output BLOB NOT NULL, PRIMARY KEY (owner, id) );
CREATE INDEX IF NOT EXISTS responses_chain ON responses (chain);
CREATE TABLE teams ( name TEXT NOT NULL, access JSON NOT NULL, created DOUBLE NOT NULL, PRIMARY KEY (name) );
CREATE TABLE usage_hourly ( hour BIGINT NOT NULL, key_id TEXT NOT NULL, team TEXT NOT NULL, model TEXT NOT NULL, policy TEXT
    NOT NULL, requests BIGINT DEFAULT 0 NOT NULL, errors BIGINT DEFAULT 0 NOT NULL, prompt_tokens BIGINT DEFAULT 0 NOT NULL,
    cached_tokens BIGINT DEFAULT 0 NOT NULL, completion_tokens BIGINT DEFAULT 0 NOT NULL, nusd BIGINT DEFAULT 0 NOT NULL,
    unpriced_calls BIGINT DEFAULT 0 NOT NULL, PRIMARY KEY (hour, key_id, team, model, policy) );
"""
_VIEWS = """
CREATE VIEW spend_by_day AS SELECT date(time, 'unixepoch') AS day, count(*) AS calls, sum(prompt_tokens) AS prompt_tokens,
    sum(cached_tokens) AS cached_tokens, sum(completion_tokens) AS completion_tokens, coalesce(sum(nusd), 0) / 1e9 AS usd,
    count(*) - count(nusd) AS unpriced_calls, count(CASE WHEN estimated THEN 1 END) AS estimated_calls FROM ledger GROUP BY
    date(time, 'unixepoch');
CREATE VIEW spend_by_key AS SELECT key_id, max(key_name) AS key_name, team, min(date(time, 'unixepoch')) AS first_day,
    max(date(time, 'unixepoch')) AS last_day, count(*) AS calls, sum(prompt_tokens) AS prompt_tokens, sum(cached_tokens) AS
    cached_tokens, sum(completion_tokens) AS completion_tokens, coalesce(sum(nusd), 0) / 1e9 AS usd, count(*) - count(nusd) AS
    unpriced_calls, count(CASE WHEN estimated THEN 1 END) AS estimated_calls FROM ledger GROUP BY key_id, team;
"""


def upgrade() -> None:
    """Create the typed tables, and copy the requests into them."""
    names = set(sa.inspect(op.get_bind()).get_table_names())
    if "requests" in names:
        op.rename_table("requests", _BEFORE)
    if "responses" in names and "output" not in _columns("responses"):
        _execute(_OUTPUT_APART)
    _execute(_TABLES)
    if "requests" in names:
        _copy_requests()
        op.drop_table(_BEFORE)
    _execute(_VIEWS)


def _execute(statements: str) -> None:
    for statement in filter(str.strip, statements.split(";\n")):
        op.get_bind().exec_driver_sql(statement)


def _columns(table: str) -> list[str]:
    return [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]


def _copy_requests() -> None:
    before, now = _columns(_BEFORE), set(_columns("requests"))
    copied = [name for name in before if name in now and name not in ("cost_nusd", "cost_usd", "request_id", "time")]
    values = ["rowid", "coalesce(request_id, '')", "coalesce(time, 0)", *copied]
    in_usd = "CAST(round(cost_usd * 1e9) AS INTEGER)" if "cost_usd" in before else "NULL"
    values.append(f"coalesce(cost_nusd, {in_usd})" if "cost_nusd" in before else in_usd)
    columns = ["id", "request_id", "time", *copied, "cost_nusd"]
    op.get_bind().exec_driver_sql(
        f"INSERT INTO requests ({', '.join(columns)}) SELECT {', '.join(values)} FROM {_BEFORE} ORDER BY rowid"
    )
