"""The log of the service: one line per event, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any, Literal, TextIO

__all__ = ["LogFormat", "log_to"]

LogFormat = Literal["text", "json"]

_LOGGERS = ("pairdex", "uvicorn")


def log_to(form: LogFormat | None, stream: TextIO | None = None) -> None:
    """Write the logs of the service and of uvicorn to stderr.

    Parameters
    ----------
    form
        With a form, every request is logged; with None, only errors, as text.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.WARNING if form is None or name == "uvicorn" else logging.INFO)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, message and facts; line breaks in the message are escaped."""
        message = record.getMessage().replace("\r", r"\r").replace("\n", r"\n")
        facts = " ".join(f"{name}={value}" for name, value in _facts(record).items())
        line = " ".join(filter(None, [_time(record), record.levelname, message, facts]))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object on one line."""
        content = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = getattr(record, "facts", {})
    return facts


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
