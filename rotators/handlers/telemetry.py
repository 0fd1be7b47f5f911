"""The reports of the functions: a JSON log line, an EMF record and audit records (audit.py) per invocation.

Logger and Metrics of Powertools only; its Tracer would cost 600 ms of every cold start and can capture
responses. This module does not get events or answers: the code passes log keys by name, and a value of a
secret or a RotationToken must not be given. Errors arrive with values already masked (core/redaction.py); of
an error that is not coded only the type and the frames are reported.

Powertools reads its variables when a line is written, and an invalid value is an error then, when a rotation
may already be promoted. So each variable is checked before a function acts, and a logger is made and used on
trial. After the function has acted, nothing that happens here makes it fail: a closed stdout must not turn a
rotation that was promoted into a failed one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import NamedTuple, Self

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from rotators.core.errors import ConfigurationError, RotatorsError, UnexpectedError
from rotators.core.redaction import name_of, raise_unchained
from rotators.handlers.audit import write_records
from rotators.handlers.observation import Observation

_DIMENSIONS = ("rotator", "step")
_LAST_STEP = "finishSecret"
# EMF specification: a dimension's value has 1 to 1024 ASCII characters; a rotator's name needs far fewer.
_LONGEST_DIMENSION = 255

_NAME = "rotators"
_SERVICE, _NAMESPACE = "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"
_SAMPLE_RATE = "POWERTOOLS_LOGGER_SAMPLE_RATE"

# In the order in which Powertools reads them; the first one that is set decides.
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


@contextmanager
def observed(function: str, context: object = None, **keys: str) -> Iterator[Observation]:
    """Report one invocation on stdout: a JSON log line, metrics in the Embedded Metric Format, audit records.

    Success is logged at INFO with ``outcome`` (``succeeded`` unless the body added one) and ``duration_ms``;
    an error at ERROR with ``outcome`` ``failed``, ``error_code``, ``error_type``, ``error_message``,
    ``retryable`` and the traceback (which holds no local values). ``POWERTOOLS_LOG_LEVEL``,
    ``AWS_LAMBDA_LOG_LEVEL``, ``POWERTOOLS_SERVICE_NAME`` and ``POWERTOOLS_METRICS_NAMESPACE`` are honoured at
    every invocation.

    Metrics: ``Succeeded`` or ``Failed`` (Count; ``StepSucceeded`` and ``StepFailed`` for ``rotate``),
    ``Duration`` (Milliseconds), and ``Rotated`` (Count) for a rotation that ended well. All of them by
    ``service`` and ``function``, which alarms can use, and, when known, by ``rotator`` and ``step`` too.

    A report that cannot be written (stdout is closed or full) is lost; it does not change how the invocation
    ends. An audit record goes to stderr then.

    Args:
        function: the function's name.
        context: Lambda's context.
        keys: log keys known from the start; as for ``Observation.add``.

    Yields:
        The observation, to add keys to.

    Raises:
        ConfigurationError: logging or metrics cannot be set up with this environment; the body was not run.
        RotatorsError: whatever the body raised, unchanged.
        UnexpectedError: in place of an exception that is not coded; it names the type and keeps the frames.
        BaseException: what is no Exception (an exit, a simulated crash) passes unchanged and without a
            report, as a real death would.
    """
    observation = Observation(function, dict(keys), context)
    began, started = time.time(), time.perf_counter()
    reporting = DEFAULTS
    failure: RotatorsError | None = None
    try:
        reporting = Reporting.from_environment()
        yield observation
    except Exception as error:  # noqa: BLE001 - every error is raised below
        failure = _coded(error)
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    with suppress(Exception):
        _report(reporting, observation, milliseconds, failure)
    write_records(observation, began, milliseconds, failure)
    if failure is not None:
        raise_unchained(failure)


def _coded(error: Exception) -> RotatorsError:
    if isinstance(error, RotatorsError):
        return error
    cause = f"the function stopped at an error of type {name_of(error)}; its text is withheld"
    return UnexpectedError(cause).with_traceback(error.__traceback__)


def _report(
    reporting: Reporting, observation: Observation, milliseconds: float, error: RotatorsError | None
) -> None:
    # A failure of one must not prevent the report of the other.
    try:
        _log(reporting, observation, milliseconds, error)
    finally:
        _emit_metrics(reporting, observation, milliseconds, failed=error is not None)


def _log(
    reporting: Reporting, observation: Observation, milliseconds: float, error: RotatorsError | None
) -> None:
    extra: dict[str, str | int | float] = {
        "function": observation.function,
        "outcome": "succeeded",
        **observation.keys,
        "duration_ms": milliseconds,
    }
    if error is not None:
        extra |= {
            "outcome": "failed",
            "error_code": error.full_code,
            "error_type": type(error).__name__,
            "error_message": str(error),
            "retryable": error.retryable,
        }
    reporting.log(f"{observation.function} {'failed' if error else 'succeeded'}", extra, error)


def _emit_metrics(
    reporting: Reporting, observation: Observation, milliseconds: float, *, failed: bool
) -> None:
    metrics = reporting.metrics()
    metrics.add_dimension("function", observation.function)
    known = {name: _dimension_value(str(observation.keys.get(name, ""))) for name in _DIMENSIONS}
    for name, value in known.items():
        if value:
            metrics.add_dimension(name, value)
    if any(known.values()):
        # CloudWatch does not aggregate across dimensions, and an alarm cannot search.
        metrics.add_dimensions(service=reporting.service, function=observation.function)
    of = "Step" if observation.function == "rotate" else ""
    metrics.add_metric(of + ("Failed" if failed else "Succeeded"), MetricUnit.Count, 1)
    if not failed and observation.keys.get("step") == _LAST_STEP:
        metrics.add_metric("Rotated", MetricUnit.Count, 1)
    metrics.add_metric("Duration", MetricUnit.Milliseconds, milliseconds)
    metrics.flush_metrics()


def _dimension_value(text: str) -> str:
    printable = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return printable.strip().lstrip(":")[:_LONGEST_DIMENSION]


class Reporting(NamedTuple):
    """The settings of logging and metrics.

    Attributes:
        service: the service's name in log lines and metrics.
        namespace: namespace of the metrics.
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

        Returns:
            The settings; unset variables have their default.

        Raises:
            ConfigurationError: a variable cannot be used; it is named, and its value is not shown.
        """
        for name in _FLAGS:
            _require(name not in os.environ or _FLAG.fullmatch(os.environ[name]), name, "be true or false")
        reporting = cls(
            service=_matching(_SERVICE, _SERVICE_RULE, "1 to 255 printable ASCII characters"),
            namespace=_matching(
                _NAMESPACE, _NAMESPACE_RULE, "1 to 255 letters, digits, blanks and . - _ / # :"
            ),
            level=_level(),
            sample_rate=_sample_rate(),
        )
        reporting._try_out()
        return reporting

    def log(self, message: str, extra: Mapping[str, object], error: Exception | None = None) -> None:
        """Write one line: at INFO, or with an error and its traceback at ERROR.

        Args:
            message: description of the result.
            extra: further keys; names that are no attributes of a ``logging.LogRecord``.
            error: error of the invocation.
        """
        logger = self._logger()
        if error is None:
            logger.info(message, extra=extra)
        else:
            logger.error(message, extra=extra, exc_info=error)

    def metrics(self) -> EphemeralMetrics:
        """Return an empty set of metrics."""
        # Ephemeral, because Powertools' Metrics shares its dimensions between all instances of a process.
        return EphemeralMetrics(namespace=self.namespace, service=self.service)

    def _logger(self) -> Logger:
        logger = _logger_with(self)
        if self.sample_rate:
            logger.refresh_sample_rate_calculation()
        return logger

    def _try_out(self) -> None:
        """Do everything that a report does except write, in case Powertools rejects something."""
        try:
            self._logger()
            metrics = self.metrics()
            metrics.add_metric("Failed", "Count", 0)
            metrics.serialize_metric_set()
        except Exception as error:  # noqa: BLE001 - any error must occur before we have acted
            cause = f"logging and metrics cannot be set up: {type(error).__name__}"
            raise ConfigurationError(cause, remedy="Correct the POWERTOOLS_… variables.") from None


@lru_cache(maxsize=1)  # one, because a service's logger has one level: that of the newest settings
def _logger_with(settings: Reporting) -> Logger:
    logger = Logger(
        service=settings.service,
        level=settings.level,
        sampling_rate=settings.sample_rate or None,
        logger_handler=_Stdout(),
        json_serializer=_line,
        serialize_stacktrace=False,
        utc=True,
        location=None,
    )
    # Powertools configures a service's logger once only, so this sets the level.
    logger.refresh_sample_rate_calculation()
    return logger


DEFAULTS = Reporting()
"""Settings for the report that the environment's settings cannot be used."""


class _Stdout(logging.Handler):
    """Writes to the current stdout; a StreamHandler keeps the one of its creation."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


def _line(log: Mapping[str, object]) -> str:
    """Return one line of JSON. It is ASCII, because stdout may not accept all outside text."""
    return json.dumps(log, default=str, separators=(",", ":"))


def _require(holds: object, name: str, rule: str) -> None:
    if not holds:
        raise ConfigurationError(f"{name} must {rule}", remedy=f"Correct or remove {name} on the function.")


def _matching(name: str, rule: re.Pattern[str], words: str) -> str:
    value = os.environ.get(name) or _NAME
    _require(rule.fullmatch(value), name, f"have {words}, and not begin with a colon")
    return value


def _level() -> str:
    known = logging.getLevelNamesMapping()
    found = "INFO"
    for name in reversed(_LEVELS):
        if text := os.environ.get(name):
            # Lambda has a level below DEBUG (LG: monitoring-cloudwatchlogs-advanced).
            found = "DEBUG" if text == "TRACE" and name == _LEVELS[0] else text.upper()
            _require(found in known, name, "be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return found


def _sample_rate() -> float:
    text = os.environ.get(_SAMPLE_RATE) or "0"
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    _require(0 <= rate <= 1, _SAMPLE_RATE, "be a number from 0 to 1")
    return rate
