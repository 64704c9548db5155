"""`python -m rolekeep`: what is wrong with a policy file, and its names as source text."""

import sys

from ._rolekeep import main

sys.exit(main(sys.argv[1:]))
