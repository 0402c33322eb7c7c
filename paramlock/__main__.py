"""The library's command. `python -m paramlock certify --help` says what it takes."""

import sys

from paramlock.auditing.command import main

if __name__ == "__main__":
    sys.exit(main())
