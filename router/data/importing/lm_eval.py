"""Reads per-sample logs of lm-evaluation-harness: `OUTPUT/MODEL/samples_TASK_TIME.jsonl`, `results_TIME.json` beside them.

One line per question and filter: doc_id, doc, target, arguments, resps, filtered_resps, filter, metrics, and each metric under
its name. Only the results file has the model's name.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.data.importing.evaluation import Evaluation
from router.data.importing.lines import json_lines, json_object, require_fields
from router.data.importing.prompt import with_options
from router.errors import DataError

# Names of the field with the question in the documents of tasks, the most specific first.
QUESTION_FIELDS = ("question", "problem", "query", "prompt", "instruction", "input", "text", "sentence")
CONTEXT_FIELDS = ("passage", "context", "article", "story", "narrative")
OPTION_FIELDS = ("choices", "options", "endings")
# Metrics that are right or wrong, preferred to gradual ones.
METRICS = ("exact_match", "acc", "pass@1", "pass_at_1", "prompt_level_strict_acc")

_FILE = re.compile(r"samples_(?P<task>.+?)_(?P<time>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl")


@dataclass(frozen=True)
class Choice:
    """The user's choice where a log has several metrics, filters and so on. None: the rules of `read` decide."""

    metric: str | None = None
    filter: str | None = None
    model: str | None = None
    prompt_field: str | None = None


def read(paths: Sequence[Path], choice: Choice) -> Iterator[Evaluation]:
    """Evaluations of the files, or of every samples_*.jsonl below a folder.

    - Benchmark: the task in the file's name.
    - Model: `choice.model`, else `model_name` of the results file of the same time, else the folder's name
      (`meta-llama__Llama-3-8B` is meta-llama/Llama-3-8B).
    - Metric: `choice.metric`, else the first of `METRICS` that the line has, else its only one.
    - Filter: a file with several needs `choice.filter`; a file with one is taken whatever its name.
    - Prompt: `choice.prompt_field` of the doc, else the first of `QUESTION_FIELDS`, after a passage if there is one and with
      its options lettered; few-shot examples are not part of a doc. Where the doc has no such field, the request itself,
      if the results file says that the task ran without examples.

    Raises:
        DataError: as for `json_lines`, and if a rule above finds nothing, or more than one result.
    """
    for path in _files(paths):
        yield from _read(path, choice)


def _read(path: Path, choice: Choice) -> Iterator[Evaluation]:
    match = _FILE.fullmatch(path.name)
    task = match["task"] if match else path.stem.removeprefix("samples_")
    results = _results(path, match["time"] if match else None)
    model = choice.model or _model(path, results)
    shots = results.get("n-shot")
    no_examples = isinstance(shots, dict) and shots.get(task) == 0
    by_filter: dict[str, list[Evaluation]] = {}
    for location, line in require_fields(json_lines(path), ("doc",)):
        prompt = _prompt(location, line, choice.prompt_field, no_examples)
        evaluation = Evaluation(model, prompt, _score(location, line, choice.metric), task, location)
        by_filter.setdefault(str(line.get("filter", "none")), []).append(evaluation)
    if not by_filter:
        raise DataError(f"{path}: no samples")
    yield from by_filter[_filter(path, list(by_filter), choice.filter)]


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path]
        if not found:
            raise DataError(f"{path}: no samples_*.jsonl in the folder (log them with --log_samples)")
        yield from found


def _results(samples: Path, time: str | None) -> Mapping[str, object]:
    path = samples.with_name(f"results_{time}.json")
    if time is None or not path.is_file():
        return {}
    try:
        return json_object(str(path), path.read_bytes())
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc


def _model(path: Path, results: Mapping[str, object]) -> str:
    name = results.get("model_name")
    if isinstance(name, str) and name.strip():
        return name
    folder = path.absolute().parent.name
    if "__" in folder:
        return folder.replace("__", "/")
    raise DataError(
        f"{path}: no results file beside it names the model, and the folder {folder!r} is none; give --model"
    )


def _filter(path: Path, names: list[str], wanted: str | None) -> str:
    if len(names) == 1:
        return names[0]
    if wanted is None:
        raise DataError(f"{path}: scored under several filters: {', '.join(names)}; choose one with --filter")
    if wanted not in names:
        raise DataError(f"{path}: no filter {wanted!r}; there are {', '.join(names)}")
    return wanted


def _score(location: str, line: Mapping[str, object], wanted: str | None) -> object:
    listed = line.get("metrics")
    metrics = [str(name) for name in listed] if isinstance(listed, list) else [m for m in METRICS if m in line]
    present = [name for name in metrics if name in line]
    if wanted is not None:
        if wanted not in line:
            raise DataError(f"{location}: no metric {wanted!r}; there are {', '.join(present) or 'none'}")
        return line[wanted]
    chosen = next((name for name in METRICS if name in present), present[0] if len(present) == 1 else None)
    if chosen is None:
        raise DataError(f"{location}: metrics are {', '.join(present) or 'missing'}; choose one with --metric")
    return line[chosen]


def _prompt(location: str, line: Mapping[str, object], field: str | None, no_examples: bool) -> str:
    given = line["doc"]
    if not isinstance(given, dict):
        raise DataError(f"{location}: doc is {type(given).__name__}, expected an object")
    doc = {name.lower(): value for name, value in given.items()}
    texts = {name: value for name, value in doc.items() if isinstance(value, str)}
    if field is not None:
        if field.lower() not in texts:
            raise DataError(f"{location}: doc has no text {field!r}; its fields are {', '.join(given)}")
        return texts[field.lower()]
    question = next((texts[name] for name in QUESTION_FIELDS if texts.get(name, "").strip()), None)
    if question is not None:
        context = next((texts[name] for name in CONTEXT_FIELDS if name in texts), "")
        text = f"{context}\n\n{question}" if context else question
        options = _options(doc)
        return with_options(text, options) if options else text
    request = _request(line.get("arguments"))
    if request is None or not no_examples:
        raise DataError(
            f"{location}: doc has none of {', '.join(QUESTION_FIELDS)}; name its field with --prompt-field "
            f"(it has {', '.join(given)})"
        )
    return request


def _options(doc: Mapping[str, object]) -> list[str]:
    """The answer options: a list of texts, or as in ARC a list under "text"; [] if there are none."""
    for name in OPTION_FIELDS:
        found = doc.get(name)
        found = found.get("text") if isinstance(found, dict) else found
        if isinstance(found, list) and found and all(isinstance(option, str) for option in found):
            return found
    return []


def _request(arguments: object) -> str | None:
    """The text sent to the model: `{"gen_args_0": {"arg_0": TEXT, ...}}`, or [[TEXT, ...]] in older logs.

    A chat request is a JSON list of messages; its last user message is the question.
    """
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else arguments
    first = first.get("arg_0") if isinstance(first, dict) else first
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, str):
        return None
    try:
        messages = json.loads(first) if first.startswith("[{") else None
    except ValueError:
        messages = None
    if not isinstance(messages, list):
        return first
    user_texts = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    return user_texts[-1] if user_texts and isinstance(user_texts[-1], str) else None
