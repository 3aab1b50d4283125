"""The one error of the data package."""

from ..errors import DataError

__all__ = ["DataError"]
