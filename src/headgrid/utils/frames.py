"""pandas, for whoever asks for a table: it is imported when one is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def dataframe(rows: Any, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A `pandas.DataFrame` of rows.

    Raises:
        ImportError: when pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("to_dataframe needs pandas: pip install pandas") from None
    return pd.DataFrame(rows, columns=columns)
