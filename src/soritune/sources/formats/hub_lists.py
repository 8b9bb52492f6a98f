"""Lists of a data set as they are written, where `datasets` makes values of another kind of them.

It reads lists with pandas and pyarrow. By what else stands in the column, pandas reads 010 as 10,
3.10 as 3.1, `True` as a truth value and `NA` as nothing, and pyarrow "2024-06-03" as a time.
There are settings for some of this, for a `metadata.csv` beside loose files none; so the methods
that read are given readers that leave text as it is. Numbers of JSON and Parquet stay numbers, and
labels are numbers with names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any


def read_as_text(builder: Any) -> bool:
    """Let a builder of `datasets` read text as text, whatever type is declared for it.

    Return whether it is one that reads lists or loose files. It has to stream: what is converted
    and kept would be found again under the same name by those who want numbers.
    """
    from datasets.packaged_modules.csv.csv import Csv  # type: ignore[import-untyped]
    from datasets.packaged_modules.folder_based_builder.folder_based_builder import (  # type: ignore[import-untyped]
        FolderBasedBuilder,
    )
    from datasets.packaged_modules.json.json import (  # type: ignore[import-untyped]
        Json,
        pandas_read_json,
    )

    if isinstance(builder, Csv):
        builder._generate_tables = _with(builder._generate_tables, pd=_Tables)
    elif isinstance(builder, Json):
        readers = {"paj": _Json, "pandas_read_json": partial(pandas_read_json, dtype=False)}
        builder._generate_tables = _with(builder._generate_tables, **readers)
    elif isinstance(builder, FolderBasedBuilder):
        builder._read_metadata = _with(builder._read_metadata, pd=_Tables, paj=_Json)
    else:
        return False
    builder.config.features = builder.info.features = None
    return True


def label_names(rows: Any) -> dict[str, Callable[[Any], Any]]:
    """Return, for columns that hold numbers of named labels, what gives the name of a number."""
    features = rows.features or {}

    def named(feature: Any) -> Callable[[Any], Any]:
        return lambda value: None if value is None or value < 0 else feature.int2str(value)

    return {
        column: named(features[column])
        for column in features
        if type(features[column]).__name__ == "ClassLabel"
    }


def _with(method: Any, **globals_: Any) -> Any:
    """Return a bound method that finds other things under these names of its module."""
    function = method.__func__
    names = {**function.__globals__, **globals_}
    defaults, closure = function.__defaults__, function.__closure__
    changed = FunctionType(function.__code__, names, function.__name__, defaults, closure)
    return MethodType(changed, method.__self__)


class _Tables:
    """Stands for pandas."""

    @staticmethod
    def read_csv(file: str, **settings: Any) -> Any:
        from datasets.utils.file_utils import xpandas_read_csv  # type: ignore[import-untyped]

        as_text = {"dtype": str, "keep_default_na": False, "na_filter": False}
        return xpandas_read_csv(file, **{**settings, **as_text})


class _Json:
    """Stands for pyarrow.json."""

    @staticmethod
    def ReadOptions(**settings: Any) -> Any:  # noqa: N802 (its name there)
        import pyarrow.json

        return pyarrow.json.ReadOptions(**settings)

    @staticmethod
    def read_json(source: Any, read_options: Any) -> Any:
        import pyarrow as pa
        import pyarrow.json

        table = pyarrow.json.read_json(source, read_options=read_options)
        text = pa.schema([_without_times(field) for field in table.schema])
        if text == table.schema:
            return table
        source.seek(0)
        options = pyarrow.json.ParseOptions(explicit_schema=text)
        return pyarrow.json.read_json(source, read_options=read_options, parse_options=options)


def _without_times(field: Any) -> Any:
    """Return a field with text for what JSON has no type for: times, also inside objects."""
    import pyarrow as pa

    kind = field.type
    if pa.types.is_timestamp(kind):
        return field.with_type(pa.string())
    if pa.types.is_struct(kind):
        return field.with_type(pa.struct([_without_times(inner) for inner in kind]))
    return field
