"""`python -m rolekeep`: what is wrong with a policy file, its names as source text, the schema of a database, and backups."""

import sys

from ._rolekeep import main

sys.exit(main(sys.argv[1:]))
