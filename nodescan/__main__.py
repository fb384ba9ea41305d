"""`python -m nodescan`: the same as the command nodescan."""

import sys

from nodescan.cli import main

if __name__ == "__main__":
    sys.exit(main())
