"""`python -m agents.commands` is `driftline`."""

import logging

from agents.commands import main

logging.captureWarnings(True)
main()
