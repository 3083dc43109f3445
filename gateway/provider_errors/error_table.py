"""The table that classifies providers' errors: status, codes and phrases give a cause. The first row that matches decides.

Rows are ordered from the most specific phrases to the vaguest. The status alone decides only if no row matches: some servers
report an invalid key with status 400, and a prompt that is too long with status 500. This module is longer than others because it
holds one table of data, whose order is its meaning.
"""

import re
from dataclasses import dataclass

from gateway.provider_errors.causes import Cause
from gateway.provider_errors.error_body import ErrorBody

Statuses = frozenset[int | None]  # None: an error in a stream, without a status


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        cause: the cause of errors that match.
        phrases: pattern that is searched in the message and codes of the error, in lower case.
        codes: codes, types or statuses of the error, in lower case; one of them is sufficient for a match.
        statuses: the HTTP statuses that can match; empty matches all.
        field: the part of the request that errors of this row are about, if known.
    """

    cause: Cause
    phrases: re.Pattern[str] | None
    codes: frozenset[str]
    statuses: Statuses
    field: str | None

    def matches(self, status: int | None, error: ErrorBody, text: str) -> bool:
        """Return True if an error matches this row.

        Args:
            status: of the response; None for an error in a stream.
            error: the error.
            text: its message and codes in lower case, with single spaces.
        """
        if self.statuses and status not in self.statuses:
            return False
        if not self.codes.isdisjoint(error.codes):
            return True
        return self.phrases is not None and self.phrases.search(text) is not None


def _row(
    cause: Cause, statuses: Statuses, phrases: str, codes: str = "", field: str | None = None, names: str = ""
) -> Row:
    """Return a row. Each line of `phrases` is a regular expression; repetitions in it are bounded, since the text is untrusted.

    Args:
        names: a pattern that replaces `NAME` in the phrases.
    """
    patterns = [line.strip().replace("NAME", f"(?:{names})") for line in phrases.strip().splitlines()]
    return Row(cause, re.compile("|".join(patterns)) if phrases else None, frozenset(codes.split()), statuses, field)


def _media(field: str, names: str) -> Row:
    """Return a row for a content type that the model does not accept."""
    return _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        \bNAMEs?(?:[ _](?:url|input|content|type|part|message)s?){0,2}\b.{0,60}not (?:supported|available|enabled|allowed)
        \bNAMEs?(?:[ _](?:url|input|content|type|part|message)s?){0,2}\b.{0,60}(?:unsupported|only supported by|mmproj)
        (?:not|n't|that) support (?:the )?(?:\w+ )?NAMEs?\b
        not an? NAME
        unknown variant .(?:input_)?NAME
        at most 0 NAME
        unsupported NAME
        """,
        field=field,
        names=names,
    )


_ANY: Statuses = frozenset()
_REQUEST: Statuses = frozenset({400, 404, 405, 415, 422, 424, 500, 501, None})
_POLICY: Statuses = frozenset({400, 403, 422, 451, None})
_ACCOUNT: Statuses = frozenset({400, 401, 402, 403, 412, 429, 500, 503, None})
_KEY: Statuses = frozenset({400, 401, 403, 412, 422, 424, 498, 500, 502, 503, None})
_NAMES_MODEL: Statuses = frozenset({400, 403, 404, 405, 410, 412, 422, 424, 498, 500, 502, 503, None})
_TOO_LONG: Statuses = frozenset({400, 404, 413, 422, 424, 500, 502, None})
_BUSY: Statuses = frozenset({400, 409, 412, 424, 429, 498, 500, 502, 503, 529, None})
# Text between "model" and its state. It excludes other nouns that the state could belong to.
_BETWEEN = (
    r"\bmodels?\b(?:(?!\b(?:file|image|url|tool|vector|audio|document|video|parameter|role|does not support)s?\b)"
    r"[^;]){0,80}?"
)
_UNAVAILABLE = (
    r"does(?: not|n't) exist",
    r"not exist",
    r"not found",
    r"is unknown",
    r"unloaded",
    r"decommissioned",
    r"end of (?:its )?life",
    r"(?:has been|was) (?:deprecated|retired|removed|shut down)",
    r"is (?:currently )?(?:deprecated|retired|disabled|not (?:available|valid|loaded|deployed))",
    r"no longer (?:available|supported|exists)",
    r"not (?:been )?(?:loaded|deployed|pulled)",
    r"identifier is invalid",
)

TABLE: tuple[Row, ...] = (
    _row(
        Cause.CONTENT_FILTER,
        _POLICY,
        r"""
        content management policy
        content[ _](?:policy|filter)
        usage (?:policy|policies|guidelines)
        safety (?:policy|system|filter|settings?|guidelines?)
        moderation
        \bflagged\b
        content exists risk
        considered high risk
        inappropriate content
        prohibited[ _]content
        guardrail
        """,
        codes="responsibleaipolicyviolation data_inspection_failed datainspectionfailed contentpolicyviolationerror",
    ),
    # Bedrock reports a limit of tokens per minute in this way; it does not mean that the prompt is too long.
    _row(Cause.RATE_LIMITED, frozenset({400, 429, None}), "too many tokens, please wait", "throttlingexception"),
    # A limit of this deployment for one request; another may have a higher one.
    _row(
        Cause.TOO_LARGE,
        frozenset({400, 413, 422, 429, 500, None}),
        r"""
        request too large for .{1,200}(?:per min|tpm|tokens per)
        tokens_limit_reached
        request body too large
        request_too_large
        (?:request entity|payload) too large
        (?:image|file|audio|document|video|pdf)s?(?: \w+)?(?: exceeds?|(?: is| are)? too large)\b
        """,
    ),
    # Prompt and `max_tokens` together are longer than the window.
    _row(
        Cause.CONTEXT_LENGTH,
        _ANY,
        r"""
        input length and .?max_tokens.? exceed
        (?:sum of|plus|\+|and) .{0,20}max_(?:new_)?tokens.? (?:exceed|must be)
        """,
        codes="context_length_exceeded exceed_context_size_error model_max_prompt_tokens_exceeded contextwindowexceedederror",
    ),
    # The output limit is higher than the model's maximum. Without a limit the model writes up to its maximum.
    _row(
        Cause.VALUE_REFUSED,
        _REQUEST,
        r"""
        NAME.{0,40} (?:is |are )?too (?:large|high|big)
        maximum allowed number of output tokens
        at most \d+ (?:completion|output) tokens
        maximum tokens you requested exceeds
        valid range of NAME
        NAME.{0,40}(?:must|should|cannot|can not|may not) (?:not )?(?:be |exceed)
        NAME.{0,60}(?:exceeds? |above |greater than |larger than |> \d|supported range)
        """,
        field="max_tokens",
        names=r"\bmax_?(?:completion_|output_?)?tokens",
    ),
    # The path of an id, such as `messages.0.tool_calls.0.id`, can occur with "string too long", so this row precedes the next.
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        tool[ _]?call[ _]?ids? (?:was|is|must|should|has)
        tool_calls?\S{0,8}\.?\bid\b.{0,40}(?:too long|must|should|match|invalid)
        tool_use\.id\b
        duplicate .{0,20}\btool_call_id
        \btooluseid\b
        tool_(?:call|use)_id\b.{0,40}(?:too long|must|should|match|invalid|length)
        """,
        field="tool_call_id",
    ),
    _row(
        Cause.CONTEXT_LENGTH,
        _TOO_LONG,
        r"""
        maximum (?:context|prompt|input|sequence|model|token) (?:length|limit)
        max(?:imum)? (?:number of )?(?:input |prompt |context |total )tokens
        context (?:window|length|size|limit)
        context_length
        (?:prompt|input|request|conversation|query|text) (?:is |are |was )?too long\b
        (?:prompt|input) (?:is |are )?too large
        (?:input|prompt|token).{0,60}only supports up to
        expected maxlength: \d+, actual: \d+
        (?:input|prompt|content): string should have at most \d+ characters
        too many (?:input |prompt |total )?tokens
        (?:input|prompt|context|message|total|requested?|token|number of|sum of).{0,60}tokens?.{0,40}exceed
        (?:input|prompt|token) (?:token )?(?:count|length|limit).{0,40}exceed
        exceed(?:s|ed)?(?: the| your| model| max\w*| allowed| context| input| token| prompt){1,5} (?:length|tokens?|size|limit)
        exceed(?:s|ed)?(?: the| your| model's| maximum| allowed){1,4} (?:context|token limit)\b
        supports? (?:at most|up to|only) [\d,]{1,12} tokens
        tokens.{0,20} more than (?:the )?max
        context[ _]overflow
        prompt_too_long
        \bn_ctx\b
        (?:prompt|input).{0,40}(?:longer|greater|larger) than the (?:context|model|max)
        prompt exceeds
        must have less than \d+ tokens
        range of input length
        reduce the length of the (?:messages|prompt|input)
        (?:messages?|input|prompt|content)[\w.\[\]'\"`]{0,30}: string too long
        """,
    ),
    # Credit and quotas. A daily quota is used up for long; a quota per minute, or with a wait time, is a rate limit.
    _row(
        Cause.REFUSED,
        frozenset({402, 403, None}),
        r"""
        can only afford
        fewer max_tokens
        """,
    ),
    _row(
        Cause.QUOTA,
        _ACCOUNT,
        r"""
        insufficient[_ ](?:quota|credits?|balance|funds)
        credit balance
        balance is (?:too low|insufficient)
        billing[_ ](?:hard[_ ]limit|not[_ ]active|error)
        (?:out of|no|used all|used all available|requires more|add|add more|purchase) credits
        spending limit
        (?:reached|exceeded) your (?:specified )?(?:api )?usage limits?
        account.{0,20} in arrears
        billing (?:is not|isn't|has not been) enabled
        free ?tier.{0,40} exhausted
        accountquotaexceeded
        daily (?:\w+ )?(?:limit|quota)
        (?:monthly|weekly) (?:usage |spend(?:ing)? )?(?:limit|quota|included)
        \b(?:arrearage|overdue)\b
        failure to pay
        exceeded_current_quota_error
        budget[_ ](?:has been )?exceeded
        perday
        models-per-day
        payment (?:is )?required
        """,
    ),
    _row(
        Cause.RATE_LIMITED,
        frozenset({429, None}),
        r"""
        (?:retry|try again) (?:in|after) ~?\d
        per[ _-]?(?:minute|second)
        """,
        codes="type.googleapis.com/google.rpc.retryinfo resource_exhausted",
    ),
    _row(
        Cause.QUOTA,
        _ACCOUNT,
        r"""
        exceeded your current quota
        quota .{0,40}(?:exhausted|used up|is 0)
        plan .{0,20}billing
        """,
    ),
    _row(
        Cause.AUTH,
        _KEY,
        r"""
        (?:invalid|incorrect|wrong|bad|missing|expired|revoked|disabled|unknown|no)[ _](?:\w+[ _]){0,3}?NAME
        NAME.{0,60}(?:not|invalid|incorrect|expired|leaked|disabled|revoked|suspended|missing|required|blocked|wrong)\b
        (?:invalid|expired|bad|incorrect|malformed|no) (?:\w+ )?(?:authentication|auth|credentials?|token|bearer|key)\b
        authentication (?:fails|failed|failure|error|required)
        (?:not|n't) provided? an? NAME
        authentication token .{0,20}(?:invalid|expired|revoked)
        credential is only authorized
        has not been used in project .{1,80}disabled
        invalid username or password
        not authenticated
        not authorized to perform
        missing scopes?\b
        could not validate credentials
        (?:account|organization|workspace) .{0,60}(?:deactivated|suspended|disabled)
        (?:user|account|organization|team) not found
        """,
        codes="invalid_api_key authentication_error api_key_invalid invalid_authentication_error unauthenticated "
        "unrecognizedclientexception expiredtokenexception invalidsignatureexception account_deactivated invalid_token "
        "expired_token authenticationerror incorrect_api_key_error unsupported_country_region_territory",
        names=r"api[ _-]?keys?|x-api-key|(?:subscription|access) key|(?:api|access|bearer|security) token|auth\w* header",
    ),
    # The model is unknown, retired, not loaded or not available to this key; or the server does not have the path.
    _row(
        Cause.NOT_FOUND,
        _NAMES_MODEL,
        rf"""
        {_BETWEEN}NAME
        (?:unknown|invalid|no such|unrecogni[sz]ed|unsupported|nonexistent) model\b(?! parameter| output| input)
        not a valid model
        not found the model
        \bmodel \S{{1,200}} not available
        on-demand throughput
        not supported by any provider
        no (?:such )?models? (?:is |are )?(?:currently )?loaded
        failed to load (?:the )?model
        could not resolve the (?:foundation )?model
        access to (?:the )?(?:requested )?model
        (?:deployment|endpoint|inference profile)\b.{{0,80}}(?:does not exist|not found|is paused|is stopped)
        no endpoints found for
        no available channel
        no healthy deployments?
        is no longer supported\. please use
        model_(?:not_found|decommissioned|not_exist|not_available)
        unknown_model
        deploymentnotfound
        (?:^|; )model: \S{{1,200}}(?: \||$)
        invalid url \(
        unknown request url
        unknown_url
        \bcannot post /
        \bpage not found
        (?:no route matched|route not found|no static resource)
        """,
        codes="invalid_model modelnotfound model_not_found_error model_not_supported",
        names="|".join(_UNAVAILABLE),
    ),
    # Temporary states.
    _row(
        Cause.OVERLOADED,
        _BUSY,
        r"""
        overloaded
        over[_ ]?capacity
        capacity[_ ]exceeded
        (?:at|insufficient|no) capacity
        no (?:free )?slots? (?:is |are )?available
        server (?:is )?(?:currently )?busy
        maximum pending requests
        model has crashed
        (?:is|are) (?:currently |still )?(?:being )?(?:loading|loaded|starting|warming)
        loading model
        model_loading
        (?:warming|scaling) up
        cold start
        not ready
        queue is full
        temporarily unavailable
        high (?:demand|load)
        """,
        codes="overloaded_error engine_overloaded_error unavailable modelnotreadyexception serviceunavailableexception",
    ),
    _row(
        Cause.RATE_LIMITED,
        frozenset({400, 403, 412, 424, 500, 502, 503, None}),
        r"""
        rate[_ -]?limit
        too many (?:requests|concurrent)
        throttl
        requests per (?:minute|second)
        """,
        codes="resource_exhausted too_many_requests",
    ),
    # Reasoning with the signature of another model or account; `gateway.api.reasoning` removes it.
    _row(
        Cause.REJECTED,
        frozenset({400, 422, None}),
        r"""
        encrypted[ _]content
        thinking.?\.signature
        redacted_thinking.?\.data
        (?:invalid|expected|data in).{0,20}(?:signature|redacted_thinking)
        thinking.{0,6} blocks in the latest
        """,
    ),
    # Errors of the Responses API in a stream, which have no status.
    _row(Cause.CONTENT_FILTER, frozenset({400, None}), "", "bio_policy cyber_policy image_content_policy_violation"),
    _row(
        Cause.REJECTED,
        frozenset({400, None}),
        "",
        "invalid_prompt invalid_image invalid_image_format invalid_image_mode invalid_image_url invalid_base64_image"
        " image_too_large image_too_small image_file_too_large image_file_not_found image_parse_error"
        " unsupported_image_media_type empty_image_file",
    ),
    _row(
        Cause.VALUE_REFUSED,
        frozenset({400, 422, None}),
        r"""
        tools with reasoning_effort
        (?:not|n't) support (?:thinking|reasoning)\b
        \b(?:thinking|reasoning) is not supported
        """,
        field="reasoning_effort",
    ),
    # Groq uses status 403 for this.
    _row(
        Cause.VALUE_REFUSED,
        frozenset({400, 403, 422, None}),
        r"service[_ ]tier\b.{0,40}not available",
        field="service_tier",
    ),
    # This model cannot serve the request; another one may.
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        (?:unknown|unsupported|invalid|unexpected|not one of|expected|given).{0,60}\bdeveloper\b(?! page)
        \bdeveloper\b.{0,60}(?:not (?:enabled|supported|allowed|one of|permitted|a valid)|unsupported|unknown|invalid)
        """,
        field="developer",
    ),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        prefill
        must end with a user
        final assistant
        """,
        field="prefill",
    ),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        (?:missing|must be (?:passed|provided|included|present)|required).{0,60}reasoning_content
        reasoning_content.{0,80}(?:missing|must be (?:passed|provided|included|present)|is required)
        """,
        field="missing_reasoning",
    ),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        NAME.{0,60}(?:not (?:supported|available|enabled|implemented)|unsupported|requires|disabled)
        (?:not|n't) support(?:ed)? (?:the use of )?(?:tools?|functions?|NAME)\b
        support tool use
        tools param requires
        \[\] is too short - .tools
        tools.{0,4}: .{0,20}(?:empty|too short|at least)
        function name was .{1,100} but must
        \btools\[\d{1,4}\]
        function_declarations
        \btoolconfig\b
        failed to call a function
        """,
        field="tools",
        names=r"\b(?:tool|function)[ _-]?(?:choice|call(?:ing|s)?|use|parser)?s?\b",
    ),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        must alternate
        system (?:message|role|prompt) (?:must|is not|not)
        only user
        after (?:role|tool)
        last role
        \bjinja\b
        chat[ _]template
        template ?error
        raise_exception
        no user query
        (?:unexpected|unsupported|invalid|unknown) (?:message )?role
        must be followed by tool
        must be a response to a prece
        first message must
        order of (?:messages|roles)
        consecutive (?:user|assistant|system)
        tool_(?:result|use).? (?:blocks?|ids?)
        function (?:call|response) (?:turn|parts?)\b
        same number of function calls
        thought_signature
        contents is not specified
        must have either content or
        \bmessages?\b.{0,80}(?:must not be empty|must be non-empty|must have non-empty|cannot be empty)
        must have a text parameter
        (?:multiple|one) system messages?
        message must have role
        \brole ?: ?unknown variant
        \.role\b
        \brole\b.{0,40}(?:not supported|invalid)
        """,
        field="roles",
    ),
    _media("image", "image|vision|multi-?modal"),
    _media("audio", "audio|speech"),
    _media("file", "file|document|pdf|video"),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        only text
        text-only
        unsupported content (?:type|part)
        content (?:must|to) be a string
        content.{0,20}: expected (?:a )?string
        content(?:\.str)?: input should be a valid string
        """,
        field="content",
    ),
    _row(
        Cause.UNSUPPORTED,
        _REQUEST,
        r"""
        response[_ ]format.{0,80}(?:not|unavailable|unsupported|only)
        (?:json[_ ](?:schema|mode|object)|structured outputs?).{0,60}(?:not (?:supported|available|enabled)|unavailable)
        (?:not|n't) support (?:\w+ )?(?:json|structured|response[_ ]format)
        """,
        field="response_format",
    ),
    _row(Cause.UNSUPPORTED, _REQUEST, "no endpoints found that (?:can )?support", field="tool_choice"),
)

# The cause by status if no row matches. Other statuses below 500 mean `REFUSED`; those from 500 on mean `SERVER_ERROR`.
BY_STATUS = {
    400: Cause.REJECTED,
    406: Cause.REJECTED,
    408: Cause.SERVER_ERROR,
    409: Cause.SERVER_ERROR,
    411: Cause.REJECTED,
    413: Cause.TOO_LARGE,
    414: Cause.REJECTED,
    415: Cause.REJECTED,
    421: Cause.SERVER_ERROR,
    422: Cause.REJECTED,
    423: Cause.SERVER_ERROR,
    424: Cause.OVERLOADED,
    425: Cause.SERVER_ERROR,
    429: Cause.RATE_LIMITED,
    431: Cause.REJECTED,
    498: Cause.OVERLOADED,
    499: Cause.SERVER_ERROR,
    503: Cause.OVERLOADED,
    529: Cause.OVERLOADED,
}
