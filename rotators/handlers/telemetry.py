"""What the functions report: one JSON log line and one EMF record per invocation, and nothing else.

Logger and Metrics of Powertools only; its Tracer would cost 600 ms of every cold start and can capture
responses. Nothing here sees an event or an answer: what is logged is given by name, and a value of a secret
or a RotationToken must not be given. Errors arrive with values already masked (core/redaction.py); of an
error that is not coded only the type and the frames are reported.

The environment's settings are checked before a function acts (reporting.py). After it has acted, nothing that
happens here makes it fail: a closed stdout must not turn a rotation that was promoted into a failed one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from rotators.core.errors import RotatorsError, UnexpectedError
from rotators.core.redaction import name_of, raise_unchained
from rotators.handlers.reporting import DEFAULTS, Reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    What cannot be reported (stdout is closed or full) is lost; the invocation ends as it would have without.

    Args:
        function: the function's name.
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
    observation = Observation(function, dict(keys))
    started = time.perf_counter()
    reporting = DEFAULTS
    failure: RotatorsError | None = None
    try:
        reporting = Reporting.from_environment()
        yield observation
    except Exception as error:  # noqa: BLE001 - nothing is swallowed: it is raised below
        failure = _coded(error)
    with suppress(Exception):
        _report(reporting, observation, round((time.perf_counter() - started) * 1000, 3), failure)
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
    # One must not keep the other from being reported.
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
    if error is None:
        reporting.log(f"{observation.function} succeeded", extra)
    else:
        extra |= {"outcome": "failed", **_described(error)}
        reporting.log(f"{observation.function} failed", extra, error)


def _described(error: RotatorsError) -> dict[str, str | bool]:
    return {
        "error_code": error.full_code,
        "error_type": type(error).__name__,
        "error_message": str(error),
        "retryable": error.retryable,
    }


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
        # CloudWatch adds nothing up over dimensions, and an alarm cannot search.
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
