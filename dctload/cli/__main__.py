"""`python -m dctload.cli`, the same as `dctload`."""

from __future__ import annotations

import sys

from dctload.cli import main

if __name__ == "__main__":
    sys.exit(main())
