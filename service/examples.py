"""Worked examples of what the routes answer, for the OpenAPI document."""

from __future__ import annotations

_MODEL = {"name": "hearing", "revision": "3f9a1c"}
_OGG = {"duration_s": 5.0, "sample_rate": 44100, "channels": 1, "format": "ogg", "warnings": []}
_WAV = {
    "duration_s": 8.2,
    "sample_rate": 48000,
    "channels": 2,
    "format": "wav",
    "warnings": ["0.31 s of the sound are damaged or missing."],
}
_DOG = {"label": "Dog", "score": 0.87, "events": [{"start_s": 0.32, "end_s": 1.6}]}
_RAIN = {"label": "Rain", "score": 0.41, "events": [{"start_s": 0.0, "end_s": 5.0}]}

CAPTION: dict[str, object] = {
    "id": "9f2c7d1e8a",
    "caption": "a dog is barking",
    "score": -0.31,
    "truncated": False,
    "alternatives": [{"caption": "a dog barks twice", "score": -0.55, "truncated": False}],
    "sounds": [_DOG, _RAIN],
    "audio": _OGG,
    "model": _MODEL,
    "timing_ms": {"decode": 3.1, "queue": 0.4, "encode": 6.0, "generate": 14.2, "total": 24.9},
}

DIFFERENCE: dict[str, object] = {
    "id": "9f2c7d1e8a",
    "caption": "a dog is barking",
    "score": -0.31,
    "truncated": False,
    "alternatives": [],
    "sounds": [_DOG],
    "timeline": [{"start_s": 0.0, "end_s": 1.28, "kept": 0.91}],
    "shared": [_RAIN],
    "input": _OGG,
    "reference": _WAV,
    "model": _MODEL,
    "timing_ms": {"decode": 4.0, "queue": 0.4, "encode": 9.5, "generate": 15.0, "total": 30.1},
    "reverse": {
        "caption": "a bell is ringing",
        "score": -0.42,
        "truncated": False,
        "alternatives": [],
        "sounds": [{"label": "Bell", "score": 0.62, "events": [{"start_s": 2.24, "end_s": 4.8}]}],
        "timeline": [{"start_s": 0.0, "end_s": 1.28, "kept": 0.4}],
    },
}

CHANGES: dict[str, object] = {
    **{key: value for key, value in DIFFERENCE.items() if key != "reverse"},
    "caption": "a dog is added and the rain is quieter",
    "model": {"name": "changes", "revision": "7b20d4"},
    "changes": [
        {"operation": "add", "sound": "dog", "confidence": 0.73},
        {"operation": "quieter", "sound": "rain", "confidence": 0.73},
    ],
}
"""A difference in style changes."""


class Several(dict[str, dict[str, object]]):
    """Of one route, by their names."""


DIFFERENCES = Several(rest={"value": DIFFERENCE}, changes={"value": CHANGES})

TIMELINE: dict[str, object] = {
    "id": "9f2c7d1e8a",
    "entries": [
        {
            "start_s": 12.16,
            "end_s": 15.36,
            "caption": "a dog is barking",
            "sounds": [{"label": "Dog", "score": 0.87}],
        }
    ],
    "audio": {**_OGG, "duration_s": 3600.0},
    "model": _MODEL,
    "timing_ms": {"read": 210.0, "total": 40100.0},
    "summary": "Heard in 1 h 0 min: dog (3 s).",
}
AS_TEXT = {
    "application/x-ndjson": '{"start_s": 12.16, "end_s": 15.36, "caption": "a dog is barking", '
    '"sounds": [{"label": "Dog", "score": 0.87}]}\n{"heard_s": 19.2}\n',
    "text/vtt": "WEBVTT\n\n00:00:12.160 --> 00:00:15.360\n[dog barking]\n",
    "application/x-subrip": "1\n00:00:12,160 --> 00:00:15,360\n[dog barking]\n",
}
"""The same timeline in other media types."""

HEALTH: dict[str, object] = {"status": "ok"}

INFO: dict[str, object] = {
    "model": _MODEL,
    "card": {"license": "cc-by-nc-4.0", "language": "en"},
    "device": "cpu",
    "dtype": "float32",
    "sample_rate": 16000,
    "frame_s": 0.64,
    "styles": {"rest": _MODEL, "changes": {"name": "changes", "revision": "7b20d4"}},
    "limits": {
        "max_upload_mb": 25,
        "max_audio_seconds": 60,
        "max_timeline_seconds": 14400,
        "max_timeline_mb": 4096,
        "max_timelines": 2,
        "max_streams": 16,
        "max_queue": 256,
        "max_queue_mb": 1024,
        "max_queue_seconds": 3600,
        "max_batch_size": 32,
        "max_batch_seconds": 320,
        "request_timeout_s": 30,
    },
    "versions": {"audiodiff": "0.1.0", "python": "3.11.7", "torch": "2.11.0"},
}

METRICS = 'audiodiff_requests_total{endpoint="/caption",status="200"} 12.0\n'
