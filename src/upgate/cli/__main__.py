"""`python -m upgate.cli` is the command `upgate`."""

import sys

from upgate.cli.main import main

sys.exit(main())
