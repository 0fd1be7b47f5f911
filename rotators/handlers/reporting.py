"""Logging and metrics as the environment wants them, checked before a function acts.

Powertools reads its variables when a line is written, and an invalid value is an error then, when a rotation
may already be promoted. So each variable is checked first, and a logger is made and used on trial.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from rotators.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "rotators"
_SERVICE, _NAMESPACE = "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"
_SAMPLE_RATE = "POWERTOOLS_LOGGER_SAMPLE_RATE"

# In the order in which Powertools looks; the first that is set decides.
_LEVELS = ("AWS_LAMBDA_LOG_LEVEL", "POWERTOOLS_LOG_LEVEL", "LOG_LEVEL")

_FLAGS = (
    "POWERTOOLS_DEBUG",
    "POWERTOOLS_DEV",
    "POWERTOOLS_LOG_DEDUPLICATION_DISABLED",
    "POWERTOOLS_METRICS_DISABLED",
)
_FLAG = re.compile("1|y|yes|t|true|on|0|n|no|f|false|off", re.IGNORECASE)

# CloudWatch API:PutMetricData, Namespace; API:Dimension, Value.
_NAMESPACE_RULE = re.compile(r"(?!:)(?=.*[^ ])[A-Za-z0-9._/#: -]{1,255}")
_SERVICE_RULE = re.compile(r"(?!:)(?=.*[^ ])[ -~]{1,255}")


@dataclass(frozen=True)
class Reporting:
    """Where an invocation is reported to.

    Attributes:
        service: the service's name in log lines and metrics.
        namespace: of the metrics.
        level: the lowest level that is logged.
        sample_rate: the share of invocations that are logged at DEBUG.
    """

    service: str = _NAME
    namespace: str = _NAME
    level: str = "INFO"
    sample_rate: float = 0.0

    @classmethod
    def from_environment(cls) -> Self:
        """Check the variables of Powertools.

        Raises:
            ConfigurationError: a variable cannot be used; it is named, and its value is not shown.
        """
        environment = os.environ
        for name in _FLAGS:
            _require(name not in environment or _FLAG.fullmatch(environment[name]), name, "be true or false")
        reporting = cls(
            service=_matching(environment, _SERVICE, _SERVICE_RULE, "1 to 255 printable ASCII characters"),
            namespace=_matching(
                environment, _NAMESPACE, _NAMESPACE_RULE, "1 to 255 letters, digits, blanks and . - _ / # :"
            ),
            level=_level(environment),
            sample_rate=_sample_rate(environment),
        )
        reporting._try_out()
        return reporting

    def log(self, message: str, extra: Mapping[str, object], error: Exception | None = None) -> None:
        """Write one line: at INFO, or with an error and its traceback at ERROR.

        Args:
            message: what happened.
            extra: further keys; names that are no attributes of a ``logging.LogRecord``.
            error: what failed.
        """
        logger = self._logger()
        if error is None:
            logger.info(message, extra=extra)
        else:
            logger.error(message, extra=extra, exc_info=error)

    def metrics(self) -> EphemeralMetrics:
        """An empty set of metrics."""
        # Ephemeral, because Powertools' Metrics shares its dimensions between all instances of a process.
        return EphemeralMetrics(namespace=self.namespace, service=self.service)

    def _logger(self) -> Logger:
        # Made anew for each report: Powertools configures a service's logger once only, so this costs
        # microseconds, and a changed level counts at once.
        logger = Logger(
            service=self.service,
            level=self.level,
            sampling_rate=self.sample_rate or None,
            logger_handler=_Stdout(),
            json_serializer=_line,
            serialize_stacktrace=False,
            utc=True,
            location=None,
        )
        logger.refresh_sample_rate_calculation()
        return logger

    def _try_out(self) -> None:
        """Do all that a report does but write, in case Powertools minds something that is not known here."""
        try:
            self._logger()
            metrics = self.metrics()
            metrics.add_metric("Failed", "Count", 0)
            metrics.serialize_metric_set()
        except Exception as error:  # noqa: BLE001 - whatever it minds, it must not mind it after we have acted
            cause = f"logging and metrics cannot be set up: {type(error).__name__}"
            raise ConfigurationError(cause, remedy="Correct the POWERTOOLS_… variables.") from None


DEFAULTS = Reporting()
"""What is used to report that the environment's settings cannot be used."""


class _Stdout(logging.Handler):
    """Writes to the stdout of the moment, where a StreamHandler keeps the one it was made with."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


def _line(log: Mapping[str, object]) -> str:
    """One line of JSON. ASCII, because text from outside can hold characters that stdout does not take."""
    return json.dumps(log, default=str, separators=(",", ":"))


def _require(holds: object, name: str, rule: str) -> None:
    if not holds:
        raise ConfigurationError(f"{name} must {rule}", remedy=f"Correct or remove {name} on the function.")


def _matching(environment: Mapping[str, str], name: str, rule: re.Pattern[str], words: str) -> str:
    value = environment.get(name) or _NAME
    _require(rule.fullmatch(value), name, f"have {words}, and not begin with a colon")
    return value


def _level(environment: Mapping[str, str]) -> str:
    known = logging.getLevelNamesMapping()
    found = "INFO"
    for name in reversed(_LEVELS):
        if text := environment.get(name):
            # Lambda has a level below DEBUG (LG: monitoring-cloudwatchlogs-advanced).
            found = "DEBUG" if text == "TRACE" and name == _LEVELS[0] else text.upper()
            _require(found in known, name, "be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return found


def _sample_rate(environment: Mapping[str, str]) -> float:
    text = environment.get(_SAMPLE_RATE) or "0"
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    _require(0 <= rate <= 1, _SAMPLE_RATE, "be a number from 0 to 1")
    return rate
