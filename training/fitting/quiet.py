"""What Lightning and torch say at every run though it is no news to a user."""

import logging
import re
import warnings

_WARNINGS = (
    "LightningCLI's args parameter is intended",  # we hand over what stands on the command line
    "Your `IterableDataset` has `__len__` defined",  # batches are a function of their number: workers share them out
    "`isinstance(treespec, LeafSpec)` is deprecated",  # by torch, in Lightning's own code
)
_ADVERTISED = "litlogger"
"""A service for logs, which Lightning recommends to all who have not installed it."""


def leave_out_no_news() -> None:
    """Leaves these warnings and this advertisement out from now on, and nothing else."""
    for message in _WARNINGS:
        warnings.filterwarnings("ignore", re.escape(message))
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return _ADVERTISED not in record.getMessage()
