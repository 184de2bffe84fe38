"""`python -m warehouse.tables > docs/tables.md` regenerates the catalogue."""

from __future__ import annotations

import sys

from warehouse.tables.catalogue import markdown

sys.stdout.write(markdown())
