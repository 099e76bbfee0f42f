"""Makes ``faulty_service`` and ``fake_pipeline`` importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "unit" / "service")]
