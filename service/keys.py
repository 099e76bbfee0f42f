"""Who may ask: the keys of the settings, and the origins of pages."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from service.errors import Unauthorized
from service.settings import Settings


def check_keys(settings: Settings, given: Iterable[str | None]) -> None:
    """Raise Unauthorized unless one of the keys ``given`` is one of the service's.

    All pairs are compared, so that the time does not tell which key came close.
    """
    theirs = [key.encode() for key in given if key]
    keys = [key.get_secret_value().encode() for key in settings.api_keys]
    if sum(hmac.compare_digest(key, one) for key in keys for one in theirs) == 0:
        raise Unauthorized
