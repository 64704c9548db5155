"""`python -m rolekeep`: what is wrong with a policy file, its names as source text, and the schema of a database."""

import sys

from ._rolekeep import main

sys.exit(main(sys.argv[1:]))
