import numpy as np
import polars as pl
import pytest

from utils.datasets import require
from utils.errors import SchemaError, SettingsError

TABLE = pl.DataFrame({"a": [1], "b": [2]})


@pytest.mark.parametrize(
    ("given", "found"),
    [([1], "list"), (np.zeros(2), r"numpy\.ndarray"), (TABLE.lazy(), r"polars\.LazyFrame")],
)
def test_only_frames_are_frames(given, found):
    require.frame(TABLE, "flows")
    with pytest.raises(SchemaError, match=f"flows must be a polars DataFrame, found {found}: convert"):
        require.frame(given, "flows")


def test_missing_columns_are_named_and_so_are_those_that_are_there():
    require.columns(TABLE, ["a", "b"], "flows")
    with pytest.raises(SchemaError, match="flows must have the column 'c', found 'a', 'b': rename or add"):
        require.columns(TABLE, ["a", "c"], "flows")
    with pytest.raises(SchemaError, match="flows must have the columns 'c', 'd', found none"):
        require.columns(pl.DataFrame(), ["c", "d"], "flows")


def test_a_choice_is_one_of_those_offered():
    require.choice("scale", None, ("robust", None))
    with pytest.raises(SettingsError, match="scale must be one of 'robust', None, found 'log': choose one of them"):
        require.choice("scale", "log", ("robust", None))
