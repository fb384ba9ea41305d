"""Keeps what is found now, after a change that is meant to alter it: python -m tests.golden."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.golden import KEPT, findings

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        KEPT.write_text(json.dumps(findings(Path(folder)), indent=1) + "\n", encoding="utf-8")
