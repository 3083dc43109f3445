"""The messages of the report for settings of LiteLLM that a portfolio file does not have."""

_RECORD = "no callbacks: requests are recorded (`locus log`) and counted at /metrics"
_BUDGET = "no budget for all keys together: give each key its own, see docs/operating.md"
_CACHE = "not written: the cache is in memory and for equal requests only: set `gateway.cache` and `cache` of a policy"
_REDIS = "not written: set `gateway.shared` if several gateways share their limits"

# Name of the setting -> message.
LOST = {
    "allowed_fails_policy": "no equivalent: which faults count is fixed, see docs/failover.md",
    "retry_policy": "no equivalent: which faults are retried is fixed, see docs/failover.md",
    "model_group_retry_policy": "no equivalent: which faults are retried is fixed, see docs/failover.md",
    "retry_after": "no equivalent: a provider's Retry-After is waited for, up to gateway.max_retry_after",
    "disable_cooldowns": "no equivalent: a deployment that keeps failing always cools down",
    "enable_pre_call_checks": "no setting: a request goes only where its tokens and needs fit",
    "database_url": "keys, teams, budgets and models that LiteLLM keeps in its database are not in this file",
    "store_model_in_db": "models that were added in LiteLLM's UI are in its database, not in this file: add them by hand",
    "callbacks": _RECORD,
    "success_callback": _RECORD,
    "failure_callback": _RECORD,
    "service_callbacks": _RECORD,
    "service_callback": _RECORD,
    "alerting": "no alerts: watch /metrics",
    "cache": _CACHE,
    "cache_params": _CACHE,
    "cache_responses": _CACHE,
    "max_budget": _BUDGET,
    "budget_duration": _BUDGET,
    "redis_host": _REDIS,
    "redis_port": _REDIS,
    "redis_password": _REDIS,
    "redis_url": _REDIS,
    "set_verbose": "not written: use `locus serve --log-level`; the log has no prompts",
    "json_logs": "not written: use `locus serve --log-format json`",
    "turn_off_message_logging": "no setting: messages are kept only with gateway.store_prompts",
    "id": "no equivalent: deployments are called <model>/<number>",
    "order": "no equivalent: deployments share the load by `weight`, none waits for another to fail",
    "max_retries": "no retries per deployment: `gateway.retries` counts for all",
    "num_retries": "no retries per deployment: `gateway.retries` counts for all",
    "guardrails": "no guardrails",
    "mcp_servers": "no MCP servers",
    "pass_through_endpoints": "no pass-through endpoints",
    "access_groups": "no access groups: list the models of each key or team, see docs/operating.md",
    "team_id": "teams are made by hand: list the models of each team, see docs/operating.md",
}
DROP_PARAMS = (
    "no setting: what a provider behind litellm lacks is always left out; others get every parameter untouched"
)
