"""Embeddings of many models as arrays: put together, taken apart, and refused where they do not fit."""

from dataclasses import fields

import numpy as np
import pytest

from router.model.embedding import Embedding, Embeddings


def one(value: float, evaluations: int = 3) -> Embedding:
    z, named, correction, readout, variances = (np.full(n, value, np.float32) for n in (4, 4, 3, 2, 2))
    return Embedding(z, named, correction, readout, variances, value, value / 2, -value, evaluations)


def test_the_arrays_of_several_are_their_rows_in_order() -> None:
    both = Embeddings.of([one(0.25, 7), one(0.5, 10**7)])
    assert len(both) == 2
    assert both.z.shape == (2, 4)
    for field in fields(Embedding):
        array = getattr(both, field.name)
        for row, part in enumerate((one(0.25, 7), one(0.5, 10**7))):
            np.testing.assert_array_equal(array[row], getattr(part, field.name))
        assert array.dtype == (np.int64 if field.name == "evaluations" else np.float32)
        assert array.flags.c_contiguous


def test_rows_are_taken_in_the_order_asked_and_may_repeat() -> None:
    three = Embeddings.of([one(value) for value in (0.25, 0.5, 0.75)])
    assert three.take([2, 0, 2]).level.tolist() == [-0.75, -0.25, -0.75]
    assert three.take(np.array([1])).z.tolist() == [[0.5] * 4]
    nothing = three.take([])
    assert len(nothing) == 0
    assert nothing.widths() == three.widths()


def test_others_follow() -> None:
    joined = Embeddings.of([one(0.25, 1)]).followed_by(Embeddings.of([one(0.5, 2), one(0.75, 3)]))
    assert joined.ability.tolist() == [0.25, 0.5, 0.75]
    assert joined.evaluations.tolist() == [1, 2, 3]


def test_arrays_are_read_back_from_their_names() -> None:
    both = Embeddings.of([one(0.25), one(0.5)])
    again = Embeddings.of_arrays(both.arrays())
    for name, array in both.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_arrays_that_are_missing_or_differ_in_rows_are_refused() -> None:
    arrays = Embeddings.of([one(0.25), one(0.5)]).arrays()
    with pytest.raises(ValueError, match="differ in their numbers of rows"):
        Embeddings.of_arrays(arrays | {"level": arrays["level"][:1]})
    for name in arrays:
        with pytest.raises(KeyError, match=name):
            Embeddings.of_arrays({key: array for key, array in arrays.items() if key != name})


def test_widths_are_the_shapes_of_one_model() -> None:
    assert Embeddings.of([one(0.5)]).widths() == {
        "z": (4,), "named": (4,), "correction": (3,), "readout": (2,), "variances": (2,),
        "ability": (), "ability_variance": (), "level": (), "evaluations": (),
    }  # fmt: skip
