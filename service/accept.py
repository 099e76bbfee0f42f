"""In which media type a client wants its answer (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

JSON = "application/json"


def accepted(request: Request, others: Collection[str]) -> str:
    """The media type that the client likes best; JSON unless it names one of ``others``."""
    liked: list[tuple[float, str]] = []
    for part in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in (JSON, *others):
            liked.append((_quality(parameters), kind))
    best, kind = max(liked, key=lambda one: one[0], default=(0.0, JSON))
    return kind if best > 0 else JSON


def _quality(parameters: list[str]) -> float:
    """RFC 9110, 12.4.2: 1 unless it says otherwise."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
