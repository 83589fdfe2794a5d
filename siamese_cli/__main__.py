"""`python -m siamese_cli`: the `siamese` command."""

import sys

from siamese_cli.entry import main

sys.exit(main())
