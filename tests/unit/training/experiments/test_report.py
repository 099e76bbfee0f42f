"""The figures of the report."""

from __future__ import annotations

import math

import pytest

from training.experiments import report


def test_the_interval_is_students() -> None:
    mean, half = report.interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.3027 / math.sqrt(3), rel=1e-4))
    assert math.isnan(report.interval([1.0])[1])
