"""What the converters share: reading typed columns, and dropping rows with a stated reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..geo import floor_ms
from ..table import tidy, validate

BELOW_LIGHT = "below light in fibre"
ZERO_RTT = "RTT of 0 ms"


@dataclass(frozen=True)
class Dropped:
    """How many rows were dropped, and why."""

    reason: str
    rows: int


@dataclass(frozen=True)
class Converted:
    """A tidy, validated table and what was left out; kept and dropped rows add up to `rows_in`."""

    table: pd.DataFrame
    dropped: list[Dropped]
    rows_in: int


@dataclass
class Cleaner:
    """Rows on their way into the table. Each row is dropped once, for the first reason that meets it."""

    frame: pd.DataFrame
    dropped: list[Dropped] = field(default_factory=list)
    rows_in: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows_in = len(self.frame)

    def drop(self, bad: pd.Series | npt.NDArray[np.bool_], reason: str) -> None:
        """Drops the rows where `bad` is true."""
        mask = np.asarray(bad, dtype=bool)
        if mask.any():
            self.dropped.append(Dropped(reason, int(mask.sum())))
            self.frame = self.frame[~mask].reset_index(drop=True)

    def finish(self, dataset: str) -> Converted:
        """Drops 0 ms rows and rows whose fastest RTT is below the floor, then gives the tidy table."""
        self.frame = tidy(self.frame.assign(dataset=dataset))
        self.drop(self.frame["rtt_ms"] <= 0, ZERO_RTT)
        # One ping faster than light is enough to show that an end is not where it is said to be.
        fastest = self.frame["rtt_min_ms"].fillna(self.frame["rtt_ms"])
        self.drop(fastest < floor_ms(self.frame), BELOW_LIGHT)
        return Converted(validate(self.frame), self.dropped, self.rows_in)


def read_csv(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """The named columns with the given types; other columns are ignored, and empty text stays empty."""
    try:
        # "NA" is Namibia, not a missing value; only an empty field of a number is missing.
        frame = pd.read_csv(
            path,
            usecols=list(columns),
            dtype=dict(columns),
            keep_default_na=False,
            na_values={name: [""] for name, dtype in columns.items() if dtype == "float64"},
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as this set ({error}). Expected are the columns {', '.join(columns)}; "
            "replace the file with the published one."
        ) from error
    return frame[list(columns)]
