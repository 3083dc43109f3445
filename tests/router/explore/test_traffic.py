"""Traffic: benchmark weights and prompts, as files of several forms."""

import json
from pathlib import Path

import numpy as np
import pytest

from router.encode.load import load_encoder
from router.errors import DataError
from router.explore.traffic import anchor_traffic, prompt_traffic, weighted_traffic
from router.model.anchors import Anchors

ANCHORS = Anchors(np.eye(6, dtype=np.float32), np.array(["a", "b", "b", "b", "c", "c"]))


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_without_a_file_all_anchors_count_alike() -> None:
    traffic = anchor_traffic(ANCHORS)
    assert traffic.graded  # as the grader of the benchmark scores
    np.testing.assert_allclose(traffic.weights, np.full(6, 1 / 6))
    assert traffic.about == "6 anchor queries"


@pytest.mark.parametrize(("name", "text"), [("w.json", '{"a": 1, "b": 3}'), ("w.yaml", "a: 0.25\nb: 0.75\n")])
def test_benchmark_weights_from_json_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    traffic = weighted_traffic(write(tmp_path, name, text), ANCHORS)
    np.testing.assert_allclose(traffic.weights, [0.25, 0.25, 0.25, 0.25, 0, 0])
    assert traffic.q is ANCHORS.q
    assert name in traffic.about


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ', "neither JSON nor YAML"),
        ("[1, 2]", "expected benchmark: weight"),
        ("{}", "expected benchmark: weight"),
        ('{"a": -1}', "a: weight is -1"),
        ('{"a": "much"}', "a: weight is 'much'"),
        ('{"a": true}', "a: weight is True"),
        ('{"a": .inf}', "a: weight is inf"),
        ('{"a": 0}', "no benchmark has a weight above 0"),
        ('{"zz": 1}', "no anchor queries of benchmark zz; there are a, b, c"),
    ],
)
def test_what_are_no_weights_is_named_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, "weights.json", text)
    with pytest.raises(DataError, match=message) as caught:
        weighted_traffic(path, ANCHORS)
    assert str(path) in str(caught.value)


def test_prompts_as_lines_of_text(tmp_path: Path) -> None:
    encoder = load_encoder()
    traffic = prompt_traffic(write(tmp_path, "t.txt", "What is 2 + 2?\n\n  Name a river. \n"), encoder)
    assert not traffic.graded  # how well a user is served
    np.testing.assert_allclose(traffic.q, encoder.encode(["What is 2 + 2?", "  Name a river. "]))
    assert traffic.weights.tolist() == [0.5, 0.5]
    assert traffic.about == "2 prompts of t.txt"


def test_prompts_as_json_strings_objects_and_recorded_chats(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "And"}, {"type": "image_url"}, {"type": "text", "text": "then?"}],
        },
    ]
    lines = ["What is 2 + 2?", {"prompt": "Name a river."}, {"request_id": "r", "prompt": chat}]
    encoder = load_encoder()
    traffic = prompt_traffic(write(tmp_path, "t.jsonl", "\n".join(map(json.dumps, lines))), encoder)
    np.testing.assert_allclose(traffic.q, encoder.encode(["What is 2 + 2?", "Name a river.", "And\nthen?"]))


@pytest.mark.parametrize(
    "line", ["3", "{}", '{"prompt": null}', '{"prompt": []}', '{"prompt": [{"role": "user"}]}', '" "']
)
def test_a_line_without_a_prompt_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, "t.jsonl", f'"fine"\n{line}\n')
    with pytest.raises(DataError, match=r"t\.jsonl: line 2: expected a string, or an object with `prompt`"):
        prompt_traffic(path, load_encoder())


def test_files_that_hold_nothing_to_encode_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.jsonl: line 1: not JSON"):
        prompt_traffic(write(tmp_path, "t.jsonl", "What?"), load_encoder())
    with pytest.raises(DataError, match=r"t\.txt: no prompt in it"):
        prompt_traffic(write(tmp_path, "t.txt", "\n\n"), load_encoder())
    with pytest.raises(DataError, match="none: unreadable"):
        prompt_traffic(tmp_path / "none", load_encoder())
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="binary: unreadable"):
        prompt_traffic(tmp_path / "binary", load_encoder())
