"""`python -m upgate.cli` is the command `upgate`."""

import sys

from upgate.cli.entry import main

sys.exit(main())
