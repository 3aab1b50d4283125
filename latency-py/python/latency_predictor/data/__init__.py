"""The measurements: fetched from their public addresses, cleaned, and brought into one tidy table.

`command.prepare` does everything for `latency data`; `table` defines the columns, `split` the folds by place.
"""

from .errors import DataError

__all__ = ["DataError"]
