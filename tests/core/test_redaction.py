"""No error shows a secret value; coded errors keep their type, and other errors become coded."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import RotatorDefect, RotatorsError, TargetRefused, TargetUnavailable
from rotators.core.redaction import masked, masked_texts, masking, redacted, without_frames
from tests.spellings import spellings

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "pa's\"w\\rd/é%+ü"  # its spellings in Python, JSON, SQL and URLs differ
FORMS = sorted(spellings(PASSWORD))


def everything_shown(error: BaseException) -> str:
    """Everything that a log could print of an error and of the objects that it references."""
    members = [getattr(error, name, None) for name in dir(error) if not name.startswith("__")]
    parts = ["".join(traceback.format_exception(error)), repr(error), repr(vars(error)), repr(error.args)]
    parts += [f"{member} {member!r}" for member in members if not callable(member)]
    others = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return "\n".join([*parts, *(everything_shown(other) for other in others if other is not None)])


def leaks(error: BaseException) -> list[str]:
    shown = everything_shown(error)
    return [form for form in FORMS if form in shown]


def raised(call: Callable[[], object], value: str = PASSWORD) -> BaseException:
    # The tests check only the type.
    with pytest.raises(BaseException) as caught, masking([value]):  # noqa: PT011
        call()
    return caught.value


def fail(error: BaseException, cause: Exception | None = None) -> Callable[[], object]:
    def call() -> object:
        raise error from cause

    return call


@pytest.mark.parametrize("kind", [TargetRefused, TargetUnavailable])
@pytest.mark.parametrize("spelling", FORMS)
def test_a_coded_error_keeps_its_type(kind: type[RotatorsError], spelling: str) -> None:
    error = raised(fail(kind(f"while using {spelling} at the host")))
    assert type(error) is kind
    assert not leaks(error)
    assert "while using" in str(error)


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, ConnectionError, RecursionError])
def test_other_errors_become_coded_and_name_their_type(kind: type[Exception]) -> None:
    error = raised(fail(kind(f"while using {PASSWORD} at the host")))
    assert isinstance(error, RotatorDefect)
    assert f"{kind.__name__}: while using *** at the host" in str(error)
    assert type(error.__cause__) is kind
    assert not leaks(error)


def test_an_applications_error_keeps_its_type() -> None:
    error = redacted(ConnectionError(f"while using {PASSWORD}"), [PASSWORD])
    assert type(error) is ConnectionError
    assert str(error) == "while using ***"


@given(st.text(min_size=8, max_size=40), st.text(max_size=10), st.data())
def test_every_spelling_of_a_value_is_masked(value: str, around: str, data: st.DataObject) -> None:
    forms = sorted(form for form in spellings(value) if len(form) >= 8)
    form = data.draw(st.sampled_from(forms))
    text = masked(f"{around} <{form}> {around}", [value])
    assert f"<{form}>" not in text
    assert "***" in text


# A line of a value is masked too, so the value is one line.
@given(st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp"]), min_size=4), st.text())
def test_a_text_without_values_is_unchanged(value: str, text: str) -> None:
    assert masked(text, [f"{value}\u2603{value}"]) == text


def test_several_layers_of_encoding_are_decoded() -> None:
    layered = repr(f"%22{PASSWORD.encode().hex()}%22").replace("%", "%25")
    assert PASSWORD.encode().hex() not in masked(layered, [PASSWORD])


def test_a_truncated_long_value_is_found() -> None:
    value = "k" * 30 + "0123456789" * 20
    assert masked(f"near '{value[:90]}…", [value]) == "near '***…"


def test_a_single_line_of_a_key_is_found() -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    value = f"-----BEGIN PRIVATE KEY-----\n{line}\nqUd5\n-----END PRIVATE KEY-----\n"
    assert masked(f"bad base64: {line}", [value]) == "bad base64: ***"


@pytest.mark.parametrize("short", ["b", "ad", "b:"])
def test_a_text_with_a_short_value_is_dropped(short: str) -> None:
    error = raised(
        fail(TargetRefused("mariadb: bad answer", reason="bad-answer", remedy="Call a dba.")), short
    )
    assert isinstance(error, TargetRefused)
    assert str(error).startswith("[target-refused/bad-answer] *** (text withheld: a short secret value")
    assert error.remedy == (TargetRefused.remedy if short in "Call a dba." else "Call a dba.")
    assert "maria" not in everything_shown(error)


def test_a_text_without_the_short_value_stays() -> None:
    error = raised(fail(TargetRefused("the host said no")), "q")
    assert error.args == ("the host said no",)


def test_causes_notes_and_members_are_masked_too() -> None:
    inner = KeyError(PASSWORD)
    inner.add_note(f"tried {PASSWORD}")
    outer = subprocess.CalledProcessError(1, ["psql", PASSWORD], output=PASSWORD.encode(), stderr=PASSWORD)
    error = raised(fail(outer, inner))
    assert type(error.__cause__) is subprocess.CalledProcessError
    assert not leaks(error)


class Holder:
    """An object whose repr does not show its content."""

    def __init__(self) -> None:
        self.value = PASSWORD


def attribute_of_a_value() -> object:
    return PASSWORD.nothing  # type: ignore[attr-defined]


def attribute_of_a_holder() -> object:
    return Holder().nothing  # type: ignore[attr-defined]


def slots() -> object:
    class Slots(Exception):
        __slots__ = ("value",)
        value: str

    error = Slots()
    error.value = PASSWORD
    raise error


BUILT_IN: dict[str, Callable[[], object]] = {
    "AttributeError.obj": attribute_of_a_value,
    "AttributeError.obj, an object": attribute_of_a_holder,
    "NameError.name": fail(NameError("no such name", name=PASSWORD)),
    "ImportError.path": fail(ImportError(PASSWORD, name=PASSWORD, path=f"/tmp/{PASSWORD}")),
    "UnicodeEncodeError.object": fail(UnicodeEncodeError("ascii", PASSWORD, 0, 1, PASSWORD)),
    "UnicodeDecodeError.object": fail(UnicodeDecodeError("ascii", PASSWORD.encode("utf-16-le"), 0, 1, "no")),
    "OSError.filename": fail(OSError(2, "no such file", f"/tmp/{PASSWORD}", None, PASSWORD)),
    "SyntaxError.text": fail(SyntaxError("bad", ("name", 1, 1, f"x = {PASSWORD!r}"))),
    "__slots__": slots,
    "a set": fail(ValueError({PASSWORD}, frozenset({PASSWORD}), bytearray(PASSWORD.encode()))),
    "an error as argument": fail(ValueError(OSError(5, PASSWORD))),
    "nested data": fail(ValueError({"a": [({PASSWORD: [PASSWORD.encode()]},)]})),
    "deep data": fail(ValueError([[[[[[[[[[[[[[[[[[[[PASSWORD]]]]]]]]]]]]]]]]]]]])),
}


@pytest.mark.parametrize("call", BUILT_IN.values(), ids=BUILT_IN)
def test_members_of_built_in_errors_are_masked(call: Callable[[], object]) -> None:
    assert not leaks(raised(call))


def test_the_value_of_a_stopped_iteration_is_masked() -> None:
    assert not leaks(redacted(StopIteration(PASSWORD), [PASSWORD]))
    holder = redacted(StopIteration(Holder()), [PASSWORD])
    assert isinstance(holder, StopIteration)
    assert holder.value is None


def test_members_and_text_of_groups_are_masked() -> None:
    group = ExceptionGroup(
        f"many {PASSWORD}", [ValueError(PASSWORD), ExceptionGroup("", [OSError(5, PASSWORD)])]
    )
    group.add_note(PASSWORD)
    error = redacted(group, [PASSWORD])
    assert isinstance(error, ExceptionGroup)
    assert [type(each) for each in error.exceptions] == [ValueError, ExceptionGroup]
    assert not leaks(error)
    assert isinstance(raised(fail(group)), RotatorDefect)


def test_an_error_that_cannot_be_masked_is_replaced() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return f"always {PASSWORD}"

    error = raised(fail(Stubborn()))
    assert isinstance(error, RotatorDefect)
    assert error.full_code == "rotator-defect/withheld"
    assert "Stubborn" in str(error)
    assert error.__context__ is error.__cause__ is None
    assert not leaks(error)


def test_an_applications_error_without_mask_is_replaced() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return PASSWORD

    error = redacted(Stubborn(), [PASSWORD])
    assert isinstance(error, RotatorDefect)
    assert error.full_code == "rotator-defect/withheld"
    assert "Stubborn" in str(error)
    assert not leaks(error)
    short = redacted(Stubborn(), [PASSWORD, "Stubborn"])
    assert "of type " in str(short)
    assert "Stubborn" not in str(short)


def test_an_error_is_named_with_its_module() -> None:
    unparsable = raised(lambda: json.loads("{"))
    assert "[rotator-defect] json.decoder.JSONDecodeError: Expecting" in str(unparsable)
    for text in ("no", "no.", "no: \n", ""):
        error = raised(fail(ValueError(text)))
        assert isinstance(error, RotatorDefect)
        assert error.cause == ("ValueError: no" if text else "ValueError")


def test_a_replaced_error_has_class_and_frames() -> None:
    def failing() -> None:
        raise ValueError(PASSWORD)

    match = r"ValueError: \*\*\*"
    with pytest.raises(TargetUnavailable, match=match) as caught, masking([PASSWORD], TargetUnavailable):
        failing()
    assert "failing" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]

    class Stubborn(Exception):
        def __str__(self) -> str:
            return PASSWORD

    with pytest.raises(TargetUnavailable, match="withheld"), masking([PASSWORD], TargetUnavailable):
        raise Stubborn


def test_frames_of_an_error_and_causes_vanish() -> None:
    def call() -> None:
        try:
            int("no number")
        except ValueError as inner:
            raise LookupError("no") from inner

    with pytest.raises(LookupError) as caught:
        call()
    error = caught.value
    assert without_frames(error) is error
    assert error.__cause__ is not None
    assert error.__traceback__ is error.__cause__.__traceback__ is None


def test_only_free_texts_of_a_document_are_masked() -> None:
    document = {
        "name": f"app {PASSWORD}",
        "count": 1,
        "detail": [f"said {PASSWORD}", {"name": PASSWORD, "count": 2}],
        "list": [{"detail": PASSWORD}, PASSWORD],
        "next": None,
    }
    assert masked_texts(document, [PASSWORD], ("detail", "next")) == {
        "name": f"app {PASSWORD}",
        "count": 1,
        "detail": ["said ***", {"name": "***", "count": 2}],
        "list": [{"detail": "***"}, PASSWORD],
        "next": None,
    }


def test_a_cause_that_cannot_be_masked_is_removed() -> None:
    class Stubborn(Exception):
        def __repr__(self) -> str:
            return f"always {PASSWORD}"

    error = raised(fail(TargetRefused("said no"), Stubborn()))
    assert isinstance(error, TargetRefused)
    assert error.__cause__ is None
    assert not leaks(error)


def test_an_error_that_cannot_be_read_is_replaced() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError(PASSWORD)

    error = raised(fail(Broken()))
    assert isinstance(error, RotatorDefect)
    assert not leaks(error)


def test_a_suppressed_context_is_cut_off() -> None:
    def call() -> object:
        try:
            return int("a driver's own words")
        except ValueError:
            raise TargetRefused("said no") from None

    assert raised(call).__context__ is None


class Stop(BaseException):
    pass


class Interrupt(KeyboardInterrupt):
    pass


@pytest.mark.parametrize(
    "kind", [Stop, Interrupt, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
)
def test_exits_keep_their_type_without_the_value(kind: type[BaseException]) -> None:
    error = kind(f"stopped with {PASSWORD}")
    found = raised(fail(error))
    assert found is error
    assert not leaks(found)
    assert "stopped with ***" in str(found)


def test_an_exit_keeps_its_status() -> None:
    error = raised(fail(SystemExit(3)))
    assert isinstance(error, SystemExit)
    assert error.code == 3


def test_an_interrupt_without_mask_becomes_plain() -> None:
    class Stubborn(Interrupt):
        def __str__(self) -> str:
            return PASSWORD

    found = raised(fail(Stubborn()))
    assert type(found) is KeyboardInterrupt
    assert not leaks(found)
    assert found.__context__ is None


def test_a_block_without_an_error_is_unchanged() -> None:
    with masking([PASSWORD]):
        found = 7
    assert found == 7


def test_unicode_errors_show_no_value() -> None:
    def call() -> object:
        return f"user={PASSWORD}\ud800".encode()

    error = raised(call).__cause__
    assert isinstance(error, UnicodeEncodeError)
    assert PASSWORD not in error.object


def chain(length: int) -> Exception:
    error: Exception = ValueError(PASSWORD)
    for number in range(length):
        error.__context__ = error.__cause__
        outer = RuntimeError(number, PASSWORD)
        outer.__cause__ = error
        error = outer
    return error


def circle() -> Exception:
    first, second = ValueError(PASSWORD), OSError(5, PASSWORD)
    first.__context__, second.__context__ = second, first
    return first


def own_data() -> Exception:
    data: list[Any] = [PASSWORD]
    data.append(data)
    return ValueError(data)


ENDLESS = {"a chain": lambda: chain(5000), "a circle": circle, "data that holds itself": own_data}


@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_error_is_cleaned_all_the_same(make: Callable[[], Exception]) -> None:
    error = raised(fail(make()))
    assert isinstance(error, RotatorDefect)
    family = [error]
    while (other := family[-1].__cause__ or family[-1].__context__) is not None and other not in family:
        family.append(other)  # type: ignore[arg-type]
    assert len(family) < 100
    assert not [each for each in family if PASSWORD in f"{each!r} {each.args!r}"]


@pytest.mark.parametrize("size", [65_536, 1_000_000])
def test_large_values_are_masked_within_limits(size: int) -> None:
    value = ("x'é\\\" " * (size // 6 + 1))[:size]
    started = time.process_time()
    error = raised(fail(ValueError(value, repr(value), [value.encode()] * 50)), value)
    assert value not in everything_shown(error)
    assert value[100:300] not in everything_shown(error)
    assert time.process_time() - started < 60  # processor time; some seconds are usual
