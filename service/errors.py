"""What can be wrong with an HTTP request before anything of it is decoded.

What can go wrong after that stands in ``engine/errors.py`` and ``model/errors.py``; all of it is
answered by the one table of ``service/problems.py``.
"""


class Unauthorized(Exception):
    """Send one of the service's keys as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."""


class BodyTooLarge(Exception):
    """The request body is larger than 25 MiB; send a shorter or compressed clip."""


class MalformedBody(Exception):
    """The body is not the multipart/form-data that its header announces."""


class NoRoom(Exception):
    """There is no room for a recording of this size; send a part, or try again later."""
