"""What the functions report: one JSON log line and one EMF record per invocation, and nothing else.

Logger and Metrics of Powertools only; its Tracer would cost 600 ms of every cold start and can capture
responses. Nothing here sees an event or an answer: what is logged is given by name, and a value of a secret
or a RotationToken must not be given. Errors arrive with values already masked (core/redaction.py).
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from rotators.core.errors import RotatorsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "rotators"
_DIMENSIONS = ("rotator", "step")
_LAST_STEP = "finishSecret"
# EMF specification: a dimension's value has 1 to 1024 ASCII characters; a rotator's name needs far fewer.
_LONGEST_DIMENSION = 255


@dataclass
class Observation:
    """What is known about the running invocation.

    Attributes:
        function: the function's name: ``rotate``, ``store``, ``retrieve`` …
        keys: the log keys so far.
    """

    function: str
    keys: dict[str, str | int] = field(default_factory=dict)

    def add(self, **keys: str | int) -> None:
        """Add log keys learned on the way (``secret_id``, ``token``, ``step``, ``strategy``, ``outcome`` …).

        ``rotator`` and ``step`` become dimensions of the metrics too. Never give a value of a secret.

        Args:
            keys: names that are no attributes of a ``logging.LogRecord`` (so not ``name``, ``args``).
        """
        self.keys |= keys


@contextmanager
def observed(function: str, **keys: str) -> Iterator[Observation]:
    """Report one invocation: a JSON log line, then metrics in the Embedded Metric Format, both on stdout.

    Success is logged at INFO with ``outcome`` (``succeeded`` unless the body added one) and ``duration_ms``;
    an error at ERROR with ``outcome`` ``failed``, ``error_code``, ``error_type``, ``error_message``,
    ``retryable`` and the traceback (which holds no local values). ``POWERTOOLS_LOG_LEVEL``,
    ``AWS_LAMBDA_LOG_LEVEL``, ``POWERTOOLS_SERVICE_NAME`` and ``POWERTOOLS_METRICS_NAMESPACE`` are honoured at
    every invocation.

    Metrics: ``Succeeded`` or ``Failed`` (Count; ``StepSucceeded`` and ``StepFailed`` for ``rotate``),
    ``Duration`` (Milliseconds), and ``Rotated`` (Count) for a rotation that ended well. All of them by
    ``service`` and ``function``, which alarms can use, and, when known, by ``rotator`` and ``step`` too.

    Args:
        function: the function's name.
        keys: log keys known from the start; as for ``Observation.add``.

    Yields:
        The observation, to add keys to.

    Raises:
        Exception: whatever the body raised, unchanged. What is no Exception (an exit, a simulated crash)
            passes without a report, as a real death would.
    """
    observation = Observation(function, dict(keys))
    started = time.perf_counter()
    try:
        yield observation
    except Exception as error:
        _report(observation, time.perf_counter() - started, error)
        raise
    _report(observation, time.perf_counter() - started, None)


def _report(observation: Observation, seconds: float, error: Exception | None) -> None:
    milliseconds = round(seconds * 1000, 3)
    _log(observation, milliseconds, error)
    _emit_metrics(observation, milliseconds, failed=error is not None)


def _log(observation: Observation, milliseconds: float, error: Exception | None) -> None:
    logger = _logger()
    extra: dict[str, str | int | float] = {
        "function": observation.function,
        "outcome": "succeeded",
        **observation.keys,
        "duration_ms": milliseconds,
    }
    if error is None:
        logger.info(f"{observation.function} succeeded", extra=extra)  # noqa: G004 - a JSON line has no arguments
    else:
        extra |= {"outcome": "failed", **_described(error)}
        logger.error(f"{observation.function} failed", extra=extra, exc_info=error)  # noqa: G004 - as above


def _described(error: Exception) -> dict[str, str | bool]:
    return {
        "error_code": error.full_code if isinstance(error, RotatorsError) else type(error).__name__,
        "error_type": type(error).__name__,
        "error_message": str(error),
        "retryable": isinstance(error, RotatorsError) and error.retryable,
    }


class _Stdout(logging.Handler):
    """Writes to the stdout of the moment, where a StreamHandler keeps the one it was made with."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), flush=True)


def _logger() -> Logger:
    # Made anew for each report: Powertools configures a service's logger once only, so this costs
    # microseconds, and a changed level counts at once.
    logger = Logger(
        service=os.environ.get("POWERTOOLS_SERVICE_NAME") or _NAME,
        logger_handler=_Stdout(),
        serialize_stacktrace=False,
        utc=True,
        location=None,
    )
    logger.refresh_sample_rate_calculation()
    return logger


def _emit_metrics(observation: Observation, milliseconds: float, *, failed: bool) -> None:
    # Ephemeral, because Powertools' Metrics shares its dimensions between all instances of a process.
    service = os.environ.get("POWERTOOLS_SERVICE_NAME") or _NAME
    metrics = EphemeralMetrics(
        namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or _NAME, service=service
    )
    metrics.add_dimension("function", observation.function)
    known = {name: _dimension_value(str(observation.keys.get(name, ""))) for name in _DIMENSIONS}
    for name, value in known.items():
        if value:
            metrics.add_dimension(name, value)
    if any(known.values()):
        # CloudWatch adds nothing up over dimensions, and an alarm cannot search.
        metrics.add_dimensions(service=service, function=observation.function)
    of = "Step" if observation.function == "rotate" else ""
    metrics.add_metric(of + ("Failed" if failed else "Succeeded"), MetricUnit.Count, 1)
    if not failed and observation.keys.get("step") == _LAST_STEP:
        metrics.add_metric("Rotated", MetricUnit.Count, 1)
    metrics.add_metric("Duration", MetricUnit.Milliseconds, milliseconds)
    metrics.flush_metrics()


def _dimension_value(text: str) -> str:
    printable = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return printable.strip().lstrip(":")[:_LONGEST_DIMENSION]
