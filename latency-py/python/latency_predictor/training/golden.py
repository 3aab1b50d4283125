"""Synthetic rows over a schema's fields: golden rows, and rows that training did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

GOLDEN_ROWS = 16
MISSING_SHARE = 0.3


def synthetic_rows(schema: dict[str, Any], count: int, seed: int) -> pd.DataFrame:
    """Rows drawn from what training saw (`seen`), with holes in optional fields; coordinates cover the globe."""
    rng = np.random.default_rng(seed)
    coordinates = {name for name in schema.get("coordinates", {}).values() if isinstance(name, str)}
    columns: dict[str, Any] = {}
    for field in schema["fields"]:
        if field["type"] == "number":
            everywhere = field["name"] in coordinates
            low, high = (field["min"], field["max"]) if everywhere else field.get("seen", [0.0, 1.0])
            # Few decimals keep the model file small, and read well in an error message.
            values = np.round(rng.uniform(low, high, count), 4).astype(object)
        else:
            values = rng.choice(np.array(field["categories"], dtype=object), count)
        if not field.get("required", False):
            values[rng.random(count) < MISSING_SHARE] = None
        columns[field["name"]] = values
    return pd.DataFrame(columns)


def as_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row as a dict without its missing values."""
    return [
        {name: value for name, value in row.items() if value is not None and value == value}
        for row in table.to_dict("records")
    ]
