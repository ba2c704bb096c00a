"""The two halves of real data: one to tune on, one to report."""

from __future__ import annotations

import hashlib

TUNE, REPORT = "tune", "report"


def half_of(photo: str) -> str:
    """Return the half of a photo: the first hexadecimal digit of SHA-256 of its file name, even is for tuning.

    >>> half_of("000000000139.jpg")
    'report'
    """
    return TUNE if int(hashlib.sha256(photo.encode()).hexdigest()[0], 16) % 2 == 0 else REPORT
