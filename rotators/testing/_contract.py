"""Contract of a rotator, as a suite to subclass. See `Suite` for the attributes of a subclass."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial

import pytest

from rotators.core.contracts import public_members
from rotators.core.errors import (
    CredentialsRejected,
    InvalidInput,
    RotatorFailure,
    TargetUnavailable,
)
from rotators.core.secret import PUBLIC_KEYS
from rotators.local.servers.private import free_port
from rotators.testing._case import EXTRA, STEPS, Case, Kit
from rotators.testing._proxy import Proxy
from rotators.testing._recorder import Act, Kind, When, at
from rotators.testing._secrecy import Witness
from rotators.testing._suite import Suite, failure

CREATE, SET, TEST, FINISH = STEPS

ORDERS = (
    (CREATE, CREATE, SET, SET, TEST, TEST, FINISH, FINISH),
    (*[CREATE] * 3, *[SET] * 3, *[TEST] * 3, *[FINISH] * 3),
    (CREATE, SET, CREATE, SET, TEST, SET, TEST, CREATE, TEST, FINISH),
    (CREATE, SET, TEST, CREATE, SET, TEST, CREATE, SET, TEST, FINISH),
    (CREATE, SET, TEST, FINISH, CREATE, SET, TEST, FINISH, SET),
)
"""Orders in which the service may deliver the steps, each one to three times."""


class RotatorContractV1(Suite):
    """Contract of every rotator, for any credential type."""

    def test_a_rotation_gives_a_value_that_logs_in(self, kit: Kit) -> None:
        """Each of three rotations sets a new current value that logs in.

        Fails if one does not, or if the first value still logs in at the end. The third rotation has both
        users and a previous value.
        """
        with kit.case() as case:
            for _ in range(3):
                old = case.current()
                new = case.rotate()
                assert new != old, "the rotation changed nothing"
                assert kit.target.logs_in(new), "the new current value does not log in"
            assert not kit.target.logs_in(case.first), "the first value still logs in after three rotations"

    def test_two_proposals_differ(self, kit: Kit) -> None:
        """``propose`` creates an unpredictable value.

        Fails if two proposals, or a proposal and the current, are equal.
        """
        with kit.case() as case:
            values = [case.pending(case.begin(CREATE)) for _ in range(2)]
            assert values[0] != values[1], "two proposals are equal"
            assert case.first not in values, "a proposal equals the current value"

    def test_identity_and_unknown_keys_are_unchanged(self, kit: Kit) -> None:
        """Two rotations keep all other keys; fails if one is added, removed or changed.

        The user's name may change only if the strategy has two users.
        """
        with kit.case() as case:
            kept = {*PUBLIC_KEYS, *EXTRA, *public_members(case.rotator)} - {"alternate_username"}
            if kit.always_usable and kit.strategy == "alternating":
                kept.remove("username")
            before = case.current()
            for _ in range(2):
                after = case.rotate()
                changed = {key for key in kept if before.get(key) != after.get(key)}
                assert not changed, f"a rotation changed {sorted(changed)}"
                assert after.keys() == before.keys(), "a rotation added or dropped keys"

    def test_a_proposal_touches_nothing(self, kit: Kit) -> None:
        """Step createSecret does not reach the target, because the value is not stored yet.

        Fails if it does.
        """
        with kit.case() as case:
            footprint = kit.target.footprint(case.first)
            kit.recorder.begin()
            case.begin(CREATE)
            touched = [found.name for found in kit.recorder.operations if found.kind is not Kind.API]
            assert not touched, f"createSecret reached the target: {touched}"
            assert kit.target.footprint(case.first) == footprint, "createSecret changed users or rights"
            assert case.current_logs_in(), "createSecret changed the password"

    def test_verify_fails_before_apply_and_passes_after(self, kit: Kit) -> None:
        """``verify`` proves that the pending value logs in.

        Fails if it passes before ``apply``: a value that does not work would be promoted.
        """
        with kit.case(rotations=2) as case:
            token = case.begin(CREATE)
            failure(CredentialsRejected, lambda: case.step(TEST, token), "testSecret before setSecret")
            case.steps(token, SET, TEST)
            assert kit.target.logs_in(case.pending(token)), "testSecret passed a value that does not log in"

    def test_apply_twice(self, kit: Kit) -> None:
        """The second setSecret changes nothing, even in a new process.

        Fails if users or rights change, or if the value does not log in after finishSecret.
        """
        with kit.case() as case:
            token = case.begin(CREATE, SET)
            footprint = kit.target.footprint(case.first)
            kit.function.restart()
            case.step(SET, token)
            assert kit.target.footprint(case.first) == footprint, (
                "the second setSecret changed users or rights"
            )
            case.steps(token, TEST, FINISH)
            assert case.current_logs_in()

    def test_every_step_may_be_repeated(self, kit: Kit) -> None:
        """Every step may be delivered again.

        Fails if an order of `ORDERS` fails, or ends without a current value that logs in.
        """
        for order in ORDERS:
            with kit.case() as case:
                token = case.begin(*order)
                assert case.current_version() == token, f"not promoted by {order}"
                assert case.current_logs_in(), f"does not log in after {order}"

    def test_the_current_value_logs_in_after_every_step(self, kit: Kit) -> None:
        """The current value works during a rotation; fails if it does not log in after a step.

        A strategy without this promise is checked only after createSecret and finishSecret.
        """
        with kit.case() as case:
            for _ in range(2):
                token = case.begin()
                for step in STEPS:
                    case.step(step, token)
                    if kit.always_usable or step in {CREATE, FINISH}:
                        assert case.current_logs_in(), f"AWSCURRENT does not log in after {step}"

    def test_hostile_names(self, kit: Kit) -> None:
        """Users with any of `Target.hostile_names` are rotated; fails if a new value does not log in."""
        for name in kit.target.hostile_names:
            self._rotates(kit, name=name)

    def test_hostile_passwords(self, kit: Kit) -> None:
        """A rotation starts from any of `Target.hostile_passwords`; fails if a new value does not log in."""
        for password in kit.target.hostile_passwords:
            self._rotates(kit, password=password + uuid.uuid4().hex)

    @staticmethod
    def _rotates(kit: Kit, name: str | None = None, password: str | None = None) -> None:
        with kit.case(name=name, password=password) as case:
            for _ in range(2):
                assert kit.target.logs_in(case.rotate()), f"{case.first['username']!r} does not log in"

    def test_no_session_stays(self, kit: Kit) -> None:
        """A rotation leaves no open session; fails if the target keeps one."""
        with kit.case(rotations=2) as case:
            assert kit.has_no_session(case.first), "a session stayed open"

    def test_a_pending_value_of_somebody_else_is_refused(self, kit: Kit) -> None:
        """A pending value of another user is refused; fails if setSecret or testSecret accepts it.

        The value logs in, so only the comparison of the users can prevent its promotion.
        """
        with kit.case() as case, kit.case() as other:
            token = case.begin()
            same = {key: case.first[key] for key in ("masterarn",) if key in case.first}
            case.put({**other.first, **same}, token, "AWSPENDING")
            refuses(case, token, "of another user's value")
            assert kit.target.logs_in(other.first), "the other user's password was changed"

    def test_a_stranger_with_the_clones_name_is_refused(self, kit: Kit) -> None:
        """An unrelated user with the clone's name is not changed.

        Fails if setSecret accepts it or sets its password. This applies only to strategies with a second
        user.
        """
        with kit.case() as case:
            token = case.begin(CREATE)
            clone = case.pending(token).get("username")
            if clone == case.first.get("username"):
                return
            stranger = kit.target.create_named(str(clone))
            failure(RotatorFailure, lambda: case.step(SET, token), "setSecret with an unrelated clone")
            assert kit.target.logs_in(stranger), "the unrelated user's password was changed"

    def test_a_server_that_is_down(self, kit: Kit) -> None:
        """No server means ``TargetUnavailable``, which may be retried; fails if the error is another one."""
        with kit.case(port=free_port()) as case:
            token = case.begin(CREATE)
            for step in (SET, TEST):
                self._unavailable(partial(case.step, step, token), step)

    def test_a_server_that_never_answers(self, kit: Kit) -> None:
        """A step ends if a server never answers.

        Fails if it takes longer than `Suite.timeout`, or if the rotation cannot be completed later.
        """
        port = port_of_target(kit)
        with Proxy(port) as proxy, kit.case(port=proxy.port) as case:
            token = case.begin(CREATE)
            proxy.silence()
            self._unavailable(lambda: case.step(SET, token), "setSecret")
            _recovers(case, token, proxy)

    def test_a_server_that_falls_silent_in_a_statement(self, kit: Kit) -> None:
        """A server that stops answering in the last statement of setSecret loses no credential.

        Fails if the step takes longer than `Suite.timeout`, or if the rotation cannot be completed later.
        """
        self._disturbed(kit, Proxy.silence, last_only=True)

    def test_a_server_that_hangs_up_before_a_statement(self, kit: Kit) -> None:
        """A connection that is closed before any statement or commit of setSecret does no harm.

        Fails if the error is not ``TargetUnavailable``, or if the rotation cannot be completed later.
        """
        self._disturbed(kit, Proxy.cut, last_only=False)

    def _disturbed(self, kit: Kit, disturb: Callable[[Proxy], None], *, last_only: bool) -> None:
        with Proxy(port_of_target(kit)) as proxy:
            places = _places(kit, proxy.port)
            for place in places[-1:] if last_only else places:
                with kit.case(port=proxy.port) as case:
                    token = case.begin(CREATE)
                    kit.recorder.begin(at(place, When.BEFORE, partial(disturb, proxy)))
                    self._unavailable(lambda: case.step(SET, token), "setSecret")  # noqa: B023 - called at once
                    kit.recorder.begin()
                    _recovers(case, token, proxy)

    def _unavailable(self, call: Callable[[], None], what: str) -> None:
        started = time.monotonic()
        error = failure(TargetUnavailable, call, f"{what} without a server")
        seconds = time.monotonic() - started
        assert seconds < self.timeout, f"{what} took {seconds:.1f} s to give up"
        assert error.retryable

    def test_nothing_secret_is_shown(self, kit: Kit) -> None:
        """No value is shown; fails if an error, cause, context, traceback, log or output has one."""
        with Proxy(port_of_target(kit)) as proxy:
            places = _places(kit, proxy.port)
            for place in dict.fromkeys((places[0], places[-1])):
                with kit.case(port=proxy.port, rotations=1) as case:
                    self._shows_nothing(kit, case, at(place, When.BEFORE, proxy.cut))
        with kit.case(rotations=1) as case:
            kit.target.reset(case.current())
            self._shows_nothing(kit, case, None)
        with kit.case(port=free_port()) as case:
            self._shows_nothing(kit, case, None)

    @staticmethod
    def _shows_nothing(kit: Kit, case: Case, act: Act | None) -> None:
        token = case.begin(CREATE)
        rotator = case.rotator
        rotation = kit.function.rotation(case.arn, token)
        witness = Witness(case.sensitive())
        for call in (rotator.propose, rotator.apply, rotator.verify):
            # The places are indexes within setSecret, so the count of calls starts there.
            kit.recorder.begin(act)
            with kit.recorder.step(call.__name__):
                witness.watch(partial(call, rotation))
        for step in (SET, TEST):
            kit.recorder.begin(act)
            witness.watch(partial(case.step, step, token))
        kit.recorder.begin()
        witness.saw(case.output.getvalue(), "the function's output")
        assert not witness.leaks, f"a value of the secret is shown: {witness.leaks}"


def port_of_target(kit: Kit) -> int:
    """Return the port where a kit's target listens; without one the test is skipped.

    Args:
        kit: kit of the test.

    Returns:
        From 1 to 65535.
    """
    value = kit.target.create()
    port = kit.target.port(value)
    kit.target.remove(value)
    if port is None:
        pytest.skip("nothing can stand between the rotator and this target")
    return port


def refuses(case: Case, token: str, what: str) -> None:
    """Check that setSecret and testSecret are refused.

    Args:
        case: case of a secret.
        token: token of the rotation.
        what: reason, in words, for the report if a step is not refused.
    """
    for step in (SET, TEST):
        failure((RotatorFailure, InvalidInput), partial(case.step, step, token), f"{step} {what}")


def places_in_set(case: Case, *kinds: Kind) -> list[int]:
    """Return the indexes of the operations of some kinds in an undisturbed setSecret.

    Args:
        case: case of a secret, which is rotated.
        *kinds: kinds of the operations.

    Returns:
        Indexes in the list of recorded operations, in ascending order.
    """
    token = case.begin(CREATE)
    case.kit.recorder.begin()
    case.step(SET, token)
    found = [each.index for each in case.kit.recorder.operations if each.kind in kinds]
    case.kit.recorder.begin()
    return found


def _recovers(case: Case, token: str, proxy: Proxy) -> None:
    """Check that a rotation can be completed after the proxy has forwarded nothing, or has hung up."""
    proxy.cut()
    proxy.flow()
    case.steps(token, SET, TEST, FINISH)
    assert case.current_logs_in()


def _places(kit: Kit, port: int) -> list[int]:
    """Return the indexes of the statements and commits in an undisturbed setSecret."""
    with kit.case(port=port) as case:
        found = places_in_set(case, Kind.STATEMENT, Kind.COMMIT)
    assert found, "setSecret reached the target by no operation that Target.operations names"
    return found
