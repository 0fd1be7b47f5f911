"""One log line and one metrics record per invocation, independent of earlier invocations."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from rotators.core.errors import ConfigurationError, TargetUnavailable, UnexpectedError
from rotators.handlers.telemetry import observed


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "POWERTOOLS_SERVICE_NAME",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_LOG_LEVEL",
        "AWS_LAMBDA_LOG_LEVEL",
    ):
        monkeypatch.delenv(name, raising=False)


def reported(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The log line and the metrics, which must be the only text on stdout except the audit record."""
    log, metrics, audit = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert list(audit) == ["audit"]
    return log, metrics


def dimensions(metrics: dict[str, Any]) -> dict[str, str]:
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    names, *totals = directive["Dimensions"]
    assert totals in ([], [["service", "function"]])
    return {name: metrics[name] for name in names}


def units(metrics: dict[str, Any]) -> dict[str, str]:
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}


def test_a_success_is_one_line_and_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    with observed("rotate", secret="arn") as observation:
        observation.add(step="setSecret", token="t")
        observation.add(rotator="postgres", strategy="single", outcome="applied")
    log, metrics = reported(capsys)
    expected = {"level": "INFO", "function": "rotate", "service": "rotators", "secret": "arn", "token": "t"}
    assert (
        log.items()
        >= (expected | {"rotator": "postgres", "strategy": "single", "outcome": "applied"}).items()
    )
    assert log["duration_ms"] >= 0
    assert units(metrics) == {"StepSucceeded": "Count", "Duration": "Milliseconds"}
    assert metrics["StepSucceeded"] == [1.0]
    assert dimensions(metrics) == {
        "service": "rotators",
        "function": "rotate",
        "rotator": "postgres",
        "step": "setSecret",
    }


def test_a_failure_is_reported_and_raised(capsys: pytest.CaptureFixture[str]) -> None:
    failure = TargetUnavailable("no answer from db:5432", reason="timeout")
    password = "hunter2-in-a-local"
    with pytest.raises(TargetUnavailable) as caught, observed("rotate", outcome="overruled by the failure"):
        raise failure
    assert caught.value is failure
    log, metrics = reported(capsys)
    assert (
        log.items()
        >= {
            "level": "ERROR",
            "outcome": "failed",
            "error_code": "target-unavailable/timeout",
            "error_type": "TargetUnavailable",
            "error_message": str(failure),
            "retryable": True,
        }.items()
    )
    assert "raise failure" in log["exception"]
    assert password not in json.dumps(log)
    assert units(metrics) == {"StepFailed": "Count", "Duration": "Milliseconds"}


def test_other_errors_become_coded_without_their_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def at_fault() -> None:
        raise ZeroDivisionError("hunter" + "2")

    with pytest.raises(UnexpectedError, match="ZeroDivisionError") as caught, observed("store"):
        at_fault()
    assert caught.value.__context__ is caught.value.__cause__ is None
    log, metrics = reported(capsys)
    assert (log["error_code"], log["retryable"]) == ("unexpected", False)
    assert "at_fault" in log["exception"]
    assert "hunter2" not in json.dumps(log) + "".join(traceback.format_exception(caught.value))
    assert units(metrics) == {"Failed": "Count", "Duration": "Milliseconds"}
    assert dimensions(metrics) == {"service": "rotators", "function": "store"}


def test_nothing_leaks_into_the_next_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(UnexpectedError),
        observed("rotate", secret="one", step="setSecret", rotator="p"),
    ):
        raise ValueError("x")
    reported(capsys)
    for _ in range(3):
        with observed("retrieve"):
            pass
        log, metrics = reported(capsys)
        assert not {"secret", "step", "rotator", "error_code", "exception"} & (log.keys() | metrics.keys())
        assert units(metrics) == {"Succeeded": "Count", "Duration": "Milliseconds"}


def test_alarms_find_metrics_by_function_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "my-stack")
    with observed("rotate", rotator="postgres", step="testSecret"):
        pass
    _, metrics = reported(capsys)
    assert ["service", "function"] in metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert (metrics["service"], metrics["function"]) == ("my-stack", "rotate")


def test_only_a_successful_finish_counts_as_rotated(capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("createSecret", "setSecret", "testSecret"):
        with observed("rotate", step=step):
            pass
        assert "Rotated" not in reported(capsys)[1]
    with pytest.raises(UnexpectedError), observed("rotate", step="finishSecret"):
        raise ValueError("x")
    assert "Rotated" not in reported(capsys)[1]
    with observed("rotate", step="finishSecret"):
        pass
    assert reported(capsys)[1]["Rotated"] == [1.0]


class Crash(BaseException):
    """A simulated end of the process."""


@pytest.mark.parametrize("death", [KeyboardInterrupt(), SystemExit(3), Crash()])
def test_a_death_passes_without_a_report(death: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(death)) as caught, observed("rotate"):
        raise death
    assert caught.value is death
    assert capsys.readouterr().out == ""


def test_namespace_and_service_are_the_user_s(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "shop")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "secrets")
    with observed("rotate"):
        pass
    log, metrics = reported(capsys)
    assert log["service"] == metrics["service"] == "secrets"
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "shop"


@pytest.mark.parametrize("variable", ["POWERTOOLS_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"])
def test_the_log_level_is_read_at_every_invocation(
    variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "ERROR")
    with observed("rotate"):
        pass
    # Metrics and audit records have no level.
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [next(iter(line)) for line in lines] == ["_aws", "audit"]
    monkeypatch.delenv(variable)
    with observed("rotate"):
        pass
    assert reported(capsys)[0]["level"] == "INFO"


@pytest.mark.parametrize("name", ["", "  ", "x" * 3000, ":colon", "naïve\nname"])
def test_a_strange_rotator_name_makes_a_valid_dimension(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with observed("rotate", rotator=name):
        pass
    _, metrics = reported(capsys)
    for value in dimensions(metrics).values():
        assert 1 <= len(value) <= 1024
        assert value.isascii()
        assert value.isprintable()
        assert not value.startswith(":")


UNUSABLE = {
    "POWERTOOLS_LOG_LEVEL": ["FOO", "10", " "],
    "AWS_LAMBDA_LOG_LEVEL": ["FOO"],
    "LOG_LEVEL": ["FOO"],
    "POWERTOOLS_LOGGER_SAMPLE_RATE": ["FOO", "-1", "2", "nan"],
    "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": ["FOO", ""],
    "POWERTOOLS_METRICS_DISABLED": ["FOO", ""],
    "POWERTOOLS_DEV": ["FOO", ""],
    "POWERTOOLS_METRICS_NAMESPACE": [" ", ":x", "x" * 256, "é", "a\nb"],
    "POWERTOOLS_SERVICE_NAME": [" ", ":x", "x" * 256, "é"],
}


@pytest.mark.parametrize(
    ("variable", "text"), [(name, text) for name, texts in UNUSABLE.items() for text in texts]
)
def test_an_unusable_setting_is_named_first(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    done = []
    with pytest.raises(ConfigurationError, match=variable), observed("rotate"):
        done.append("the body")
    assert not done


@pytest.mark.parametrize("level", ["debug", "Warning", "WARN", "FATAL"])
def test_levels_are_spelled_as_in_powertools(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", level)
    with observed("rotate"):
        pass


def test_an_unusable_setting_is_still_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "FOO")
    with pytest.raises(ConfigurationError), observed("rotate"):
        pass
    log, metrics = reported(capsys)
    assert log["error_code"] == "configuration"
    assert metrics["StepFailed"] == [1.0]


class Full(io.StringIO):
    """A stdout on a full device."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def closed() -> io.StringIO:
    stdout = io.StringIO()
    stdout.close()
    return stdout


# Set inside the tests, because pytest sets sys.stdout between a fixture and its test.
lost = pytest.mark.parametrize("make_stdout", [closed, Full, lambda: None], ids=["closed", "full", "none"])


@lost
def test_a_lost_report_does_not_fail_the_function(
    make_stdout: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", make_stdout())
    with observed("rotate", step="finishSecret"):
        done = "promoted"
    assert done == "promoted"


@lost
def test_a_failure_without_report_is_still_raised(
    make_stdout: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", make_stdout())
    failure = TargetUnavailable("no answer")
    with pytest.raises(TargetUnavailable) as caught, observed("rotate"):
        raise failure
    assert caught.value is failure


def test_text_that_stdout_cannot_take_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with observed("rotate", secret="\ud800é"):
        pass
    assert reported(capsys)[0]["secret"] == "\ud800é"


@pytest.mark.processes
def test_nothing_slow_is_imported() -> None:
    code = (
        "import sys, rotators.handlers.telemetry; "
        "sys.exit(' '.join({'boto3', 'aws_xray_sdk', 'pydantic'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.stderr.strip() == ""
