"""No error shows a value of a secret, and every error keeps its type where that is possible."""

from __future__ import annotations

import subprocess
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from rotators.core.errors import RotatorDefect, TargetRefused, TargetUnavailable
from rotators.core.redaction import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "pa's\"w\\rd/é%+ü"  # every spelling of it differs: Python, JSON, SQL, URL


def everything_shown(error: BaseException) -> str:
    """All that a log could print of an error and of what hangs on it."""
    parts = ["".join(traceback.format_exception(error)), repr(error), repr(vars(error)), repr(error.args)]
    parts += [everything_shown(other) for other in (error.__cause__, error.__context__) if other is not None]
    return "\n".join(parts)


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what the tests look at
        guarded(call, lambda: [PASSWORD])
    return caught.value


def fail(error: Exception, cause: Exception | None = None) -> Callable[[], object]:
    def call() -> object:
        raise error from cause

    return call


SPELLINGS = [PASSWORD, repr(PASSWORD), PASSWORD.replace("'", "''"), quote(PASSWORD, safe="")]


@pytest.mark.parametrize(
    "kind", [TargetRefused, TargetUnavailable, ValueError, RuntimeError, ConnectionError]
)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_error_keeps_its_type_and_loses_the_value(kind: type[Exception], spelling: str) -> None:
    error = raised(fail(kind(f"while using {spelling} at the host")))
    assert type(error) is kind
    assert spelling not in everything_shown(error)
    assert "while using" in str(error)


def test_causes_notes_and_members_are_masked_too() -> None:
    inner = KeyError(PASSWORD)
    inner.add_note(f"tried {PASSWORD}")
    outer = subprocess.CalledProcessError(1, ["psql", PASSWORD], output=PASSWORD.encode(), stderr=PASSWORD)
    error = raised(fail(outer, inner))
    assert type(error) is subprocess.CalledProcessError
    assert not [form for form in SPELLINGS if form in everything_shown(error)]


def test_the_members_of_a_group_are_masked() -> None:
    error = raised(fail(ExceptionGroup("many", [ValueError(PASSWORD), OSError(5, PASSWORD)])))
    assert isinstance(error, ExceptionGroup)
    assert not [form for form in SPELLINGS if form in everything_shown(error)]


def test_an_error_that_cannot_be_masked_is_replaced_and_leaves_nothing_behind() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return f"always {PASSWORD}"

    error = raised(fail(Stubborn()))
    assert isinstance(error, RotatorDefect)
    assert "Stubborn" in str(error)
    assert error.__context__ is None
    assert PASSWORD not in everything_shown(error)


def test_a_suppressed_context_is_cut_off() -> None:
    def call() -> object:
        try:
            return int("a driver's own words")
        except ValueError:
            raise TargetRefused("said no") from None

    assert raised(call).__context__ is None


def test_a_stop_that_is_no_exception_passes_untouched() -> None:
    class Stop(BaseException):
        pass

    def call() -> object:
        raise Stop(PASSWORD)

    with pytest.raises(Stop):
        guarded(call, lambda: [PASSWORD])


def test_what_went_well_is_returned() -> None:
    assert guarded(lambda: 7, lambda: [PASSWORD]) == 7


def test_a_text_that_could_not_be_encoded_is_masked_in_the_error_about_it() -> None:
    def call() -> object:
        return f"user={PASSWORD}\ud800".encode()

    error = raised(call)
    assert isinstance(error, UnicodeEncodeError)
    assert PASSWORD not in error.object
