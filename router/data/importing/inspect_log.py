"""Reads logs of Inspect (inspect.aisi.org.uk): .json files, and .eval archives with one member per sample.

Both hold `eval` (task, model, ...) and samples with id, epoch, input, choices and scores. In an archive `eval` is in
header.json, or in _journal/start.json while the run is in progress.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from router.data.importing.eval_archive import EvalArchive, open_archive
from router.data.importing.evaluation import Evaluation, Skipped
from router.data.importing.lines import json_object
from router.data.importing.prompt import with_options
from router.data.importing.short_repr import short_repr
from router.errors import DataError
from router.regular_file import read_regular

HEADERS = ("header.json", "_journal/start.json", "start.json")
# Files that Inspect writes beside the logs of a run.
NOT_LOGS = ("logs.json", "listing.json", "eval-set.json")
# The values that Inspect's own accuracy metric gives them.
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
ATTACHMENT = "attachment://"
MAX_LOG_BYTES = 512 << 20  # of a .json log, which is read into memory


def read(paths: Sequence[Path], scorer: str | None = None, model: str | None = None) -> Iterator[Evaluation | Skipped]:
    """Evaluations of the logs, or of every log below a folder; each epoch is one evaluation.

    - Benchmark: the task's name without its package. Model: `model`, else `eval.model`.
    - Prompt: the input, or the last user message of a conversation, with lettered choices.
    - Score: that of `scorer` (`NAME`, or `NAME/KEY` where a scorer gives several values), else the only one. C is 1, P is 0.5,
      I and N are 0. A sample without a score, or with an empty or NaN one, is skipped.

    Raises:
        DataError: unreadable, not a log, no samples, several scores and no `scorer`, or a value that is not a grade.
    """
    for path in _files(paths):
        for location, header, sample in _samples(path):
            yield _evaluation(location, header, sample, scorer, model)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(f for f in path.rglob("*") if f.suffix in (".eval", ".json") and f.name not in NOT_LOGS)
        if not found:
            raise DataError(f"{path}: no .eval or .json log in the folder")
        yield from found


def _samples(path: Path) -> Iterator[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    """(location, `eval`, sample) of each sample of a log."""
    if path.suffix == ".eval":
        with open_archive(path) as archive:
            yield from _archive_samples(archive)
        return
    try:
        log = json_object(str(path), read_regular(path, MAX_LOG_BYTES))
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    header, samples = _header(path, log), log.get("samples")
    if not isinstance(samples, list) or not samples:
        raise DataError(f"{path}: the log has no samples")
    for i, sample in enumerate(samples):
        yield _sample_location(path, f"sample {i}", sample), header, sample


def _archive_samples(archive: EvalArchive) -> Iterator[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    path = archive.path
    name = next((name for name in HEADERS if name in archive.members), None)
    if name is None:
        raise DataError(f"{path}: no Inspect log: none of {', '.join(HEADERS)} is in the archive")
    header = _header(path, json_object(f"{path}: {name}", archive.read(name)))
    members = [name for name in archive.members if name.startswith("samples/") and name.endswith(".json")]
    if not members:
        raise DataError(f"{path}: the log has no samples")
    for name in members:
        sample = json_object(f"{path}: {name}", archive.read(name))
        yield _sample_location(path, name, sample), header, sample


def _header(path: Path, log: Mapping[str, object]) -> Mapping[str, object]:
    header = log.get("eval")
    if not isinstance(header, dict) or not isinstance(header.get("task"), str):
        raise DataError(f"{path}: no Inspect log: there is no eval.task")
    return header


def _sample_location(path: Path, name: str, sample: object) -> str:
    """The location of a sample, after checking that it is one."""
    if not isinstance(sample, dict) or "input" not in sample:
        raise DataError(f"{path}: {name}: no sample: there is no input")
    return f"{path}: sample {short_repr(sample.get('id'))}, epoch {short_repr(sample.get('epoch', 1))}"


def _evaluation(
    location: str, header: Mapping[str, object], sample: Mapping[str, object], scorer: str | None, model: str | None
) -> Evaluation | Skipped:
    scores = sample.get("scores")
    if not isinstance(scores, dict) or not scores:
        return Skipped("samples without a score")
    value = _value(location, scores, scorer)
    if value is None or value != value:
        return Skipped("samples without a score")
    name = model or header.get("model")
    if not isinstance(name, str):
        raise DataError(f"{location}: the log names no model; give --model")
    return Evaluation(
        name, _prompt(location, sample), _grade(location, name, value), str(header["task"]).rsplit("/", 1)[-1], location
    )


def _value(location: str, scores: Mapping[str, object], wanted: str | None) -> object:
    """The value of the scorer `wanted`, or of the only one. A scorer NAME with several values has entries NAME/KEY."""
    values = {name: score.get("value") for name, score in scores.items() if isinstance(score, dict)}
    for name, value in list(values.items()):
        if isinstance(value, dict):
            del values[name]
            values |= {f"{name}/{key}": part for key, part in value.items()}
    if wanted is None and len(values) == 1:
        return next(iter(values.values()))
    if wanted is None:
        raise DataError(f"{location}: scores are {', '.join(values) or 'none'}; choose one with --metric")
    if wanted not in values:
        raise DataError(f"{location}: no score {wanted!r}; there are {', '.join(values) or 'none'}")
    return values[wanted]


def _grade(location: str, model: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    grade = GRADES.get(value, WORDS.get(value.lower()))
    if grade is not None:
        return grade
    try:
        return float(value)
    except ValueError:
        raise DataError(
            f"{location}: score of {model} is {short_repr(value)}, expected C, I, P, N or a number"
        ) from None


def _prompt(location: str, sample: Mapping[str, object]) -> str:
    given = sample["input"]
    if isinstance(given, list):
        asked = [m.get("content") for m in given if isinstance(m, dict) and m.get("role") == "user"]
        if not asked:
            raise DataError(f"{location}: the input has no user message")
        given = asked[-1]
    if isinstance(given, list):  # parts of a message; images and audio have no text
        given = "\n".join(p["text"] for p in given if isinstance(p, dict) and isinstance(p.get("text"), str))
    if not isinstance(given, str):
        raise DataError(f"{location}: input is {type(given).__name__}, expected text or messages")
    if given.startswith(ATTACHMENT):
        given = _attachment(location, sample, given.removeprefix(ATTACHMENT))
    choices = sample.get("choices")
    return with_options(given, [str(choice) for choice in choices]) if isinstance(choices, list) and choices else given


def _attachment(location: str, sample: Mapping[str, object], key: str) -> str:
    """A long text that the log keeps in `attachments` of the sample."""
    attachments = sample.get("attachments")
    text = attachments.get(key) if isinstance(attachments, dict) else None
    if not isinstance(text, str):
        raise DataError(f"{location}: the input is attachment {short_repr(key)}, which the sample does not have")
    return text
