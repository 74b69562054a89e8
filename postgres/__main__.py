"""
`python -m postgres DIRECTORY`: a private server in the foreground, for `plane demo`. Not for production.
"""

import sys

from postgres.embedded import main

if __name__ == "__main__":
    sys.exit(main())
