"""What a shell or a batch system lets one process have."""

import sys


def address_limit_bytes() -> int | None:
    """How much memory this process may name (ulimit -v), used or not; None where that is not limited."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  Windows has none

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit
