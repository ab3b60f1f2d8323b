"""`python -m tinygen`, where the folder of scripts is not on the PATH."""

import sys

from tinygen.cli import main

sys.exit(main())
