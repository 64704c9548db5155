"""`python -m rolekeep`: what is wrong with a policy file, its names as source text, the schema of a database, and backups."""

import signal
import sys

from ._rolekeep import main

# Nothing of Python runs meanwhile that could hear of Ctrl-C: it ends the process.
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(main(sys.argv[1:]))
