"""A proof of a password is sent only in a safe SCRAM exchange, and no exchange blocks a login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetRefused
from rotators.engines.postgres import PostgresEngine
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.tls import issue
from rotators.logins.scram import (
    FEWEST_ITERATIONS,
    MOST_ITERATIONS,
    SHA_256,
    SHA_256_PLUS,
    Exchange,
    matches,
    md5_verifier,
    prepared,
    verifier,
)
from tests.postgres.hostile import CLEAR, MD5, SASL, TRUST, Hostile, message, request, scram
from tests.world import World, log_in, login_failure, new_password

if TYPE_CHECKING:
    from pathlib import Path


MANY = f"SCRAM-SHA-256$40000000:{'A' * 22}==${'A' * 43}=:{'A' * 43}="


def secret(port: int, **changes: Any) -> dict[str, Any]:
    value = {"engine": "postgres", "host": "localhost", "port": port, "username": "app", "ssl": False}
    return {**value, "password": new_password(), **changes}


def code_of(value: dict[str, Any]) -> str:
    return login_failure(PostgresEngine(), value).full_code


@pytest.mark.parametrize("iterations", [0, 1, 4095, MOST_ITERATIONS + 1, 2_000_000_000, 9_999_999_999])
def test_unsafe_iteration_counts_get_no_proof(
    iterations: int,
) -> None:
    with Hostile([SASL, scram(iterations)]) as server:
        assert code_of(secret(server.port)) == "target-refused/scram-iterations"
    (first,) = server.received
    assert first.startswith(b"SCRAM-SHA-256\0")
    assert server.connections == 1


def test_the_bounds_hold_inside_tls(tmp_path: Path) -> None:
    certificates = issue(tmp_path)
    with Hostile([SASL, scram(1)], certificates) as server:
        value = secret(server.port, ssl=True, sslrootcert=str(certificates.ca))
        assert code_of(value) == "target-refused/scram-iterations"
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        scram("4096,m=ext"),
        scram("-1"),
        scram("4096 "),
        scram(4096, salt="not base64!"),
        lambda _: request(11, b"r=another nonce,s=c2FsdA==,i=4096"),
        lambda _: request(11, b""),
        lambda _: request(12, b"v=c2FsdA=="),
        lambda _: b"R\x7f\xff\xff\xff",
        lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_a_malformed_exchange_gets_no_proof(answer: Any) -> None:
    with Hostile([SASL, answer]) as server:
        assert code_of(secret(server.port)) == "target-unavailable/protocol"
    assert len(server.received) == 1


def test_a_wrong_server_signature_ends_the_login() -> None:
    with Hostile([SASL, scram(4096), request(12, b"v=" + b"A" * 43 + b"=") + TRUST]) as server:
        assert code_of(secret(server.port)) == "target-unavailable/protocol"


@pytest.mark.parametrize(
    "script",
    [
        [TRUST],
        [CLEAR],
        [request(10, b"OAUTHBEARER\0\0")],
        [request(7)],
        [SASL, lambda _: TRUST],
        [SASL, lambda _: CLEAR],
        [SASL, lambda _: MD5],
        [MD5 + MD5],
    ],
)
def test_authentication_without_a_password_hash_is_refused(script: list[Any]) -> None:
    with Hostile(script) as server:
        assert code_of(secret(server.port)) == "target-refused/auth-method"


@given(
    st.sampled_from([[], [SASL], [MD5], [SASL, scram(4096)], [MD5 + TRUST]]),
    st.one_of(
        st.binary(max_size=60),
        st.builds(message, st.binary(min_size=1, max_size=1), st.binary(max_size=40)),
        st.builds(request, st.integers(0, 20), st.binary(max_size=40)),
    ),
)
@settings(max_examples=50, deadline=None)
def test_unexpected_login_responses_are_coded_errors(script: list[Any], answer: bytes) -> None:
    with Hostile([*script, answer]) as server, pytest.raises(RotatorsError):
        log_in(PostgresEngine(), secret(server.port))


def test_an_excessive_iteration_count_error_names_a_remedy(world: World) -> None:
    """Any user may store any verifier. libpq computes for half a minute with this one."""
    user = world.user()
    # ALTER ROLE would also work, but then the server computes as long, to check for an empty password.
    world.sql("UPDATE pg_authid SET rolpassword = %s WHERE rolname = %s", MANY, user["username"])
    with pytest.raises(TargetRefused, match="40000000, not 4096") as caught:
        log_in(PostgresEngine(), user)
    assert caught.value.full_code == "target-refused/scram-iterations"
    assert "scram_iterations" in caught.value.remedy


@pytest.mark.parametrize("iterations", [FEWEST_ITERATIONS, 20_000, MOST_ITERATIONS])
def test_logins_within_the_bounds_work(world: World, iterations: int) -> None:
    user = world.user()
    store(world, user, verifier(user["password"], iterations))
    log_in(PostgresEngine(), user)
    with pytest.raises(CredentialsRejected):
        log_in(PostgresEngine(), {**user, "password": new_password()})


@pytest.mark.parametrize("asked", [None, 0, 1, 4095, 2_000_000_000])
def test_generated_verifiers_use_allowed_iteration_counts(asked: int | None) -> None:
    iterations = int(verifier("password", asked).split("$")[1].split(":")[0])
    assert FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS


@pytest.mark.processes
def test_a_login_with_an_md5_hash_works() -> None:
    """With the rule ``md5``, the server requests the method that the stored hash permits."""
    name, password = "old", new_password()
    with PostgresServer(hba=["hostssl all all 127.0.0.1/32 md5"]) as server:
        server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{md5_verifier(name, password)}'")
        log_in(PostgresEngine(), server.secret(name, password))
        with pytest.raises(CredentialsRejected):
            log_in(PostgresEngine(), server.secret(name, new_password()))


@pytest.mark.parametrize(
    "password",
    [
        "日本語のパスワード",
        "Ⅸ and ﬁ and \u00ad soft",
        "\u00a0 no-break space",
        "\u0627\u0644",
        "\u0627a",
        "\u0007bell",
        "\u06dd",
        "\u2028",
        "\U0001f600",
        "\u00ad",
    ],
)
def test_passwords_beyond_ascii_are_prepared_as_libpq_does(world: World, password: str) -> None:
    user = world.user(password=password + new_password())
    log_in(PostgresEngine(), user)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_libpq_verifier_matches_only_its_password(text: str) -> None:
    import psycopg  # noqa: PLC0415 - one use

    conn = psycopg.pq.PGconn.connect_start(b"host=/nonexistent")
    stored = conn.encrypt_password(text.encode(), b"user", b"scram-sha-256").decode()
    assert matches(stored, "user", text)
    assert matches(verifier(text), "user", text)
    assert not matches(stored, "user", text + "x")
    stored = conn.encrypt_password(text.encode(), b"user", b"md5").decode()
    assert stored == md5_verifier("user", text)
    assert matches(stored, "user", text)
    assert not matches(stored, "other", text)


@pytest.mark.parametrize(
    "stored", ["", "clear", "md5", "SCRAM-SHA-256$1", "SCRAM-SHA-256$40000000:A==$A=:A="]
)
def test_an_unknown_verifier_format_gives_no_verdict(stored: str) -> None:
    assert matches(stored, "user", "password") is None


def test_channel_binding_is_used_if_possible() -> None:
    assert Exchange([SHA_256_PLUS, SHA_256], b"digest").mechanism == SHA_256_PLUS
    assert Exchange([SHA_256_PLUS, SHA_256], b"digest").first().startswith(b"p=tls-server-end-point,,")
    assert Exchange([SHA_256], b"digest").first().startswith(b"y,,")
    assert Exchange([SHA_256_PLUS, SHA_256], None).first().startswith(b"n,,")


def test_text_that_saslprep_rejects_is_hashed_unchanged() -> None:
    assert prepared("\u00ad") == "\u00ad".encode()
    assert prepared("\u00aa") == b"a"


def store(world: World, user: dict[str, Any], stored: str) -> None:
    world.sql(
        sql.SQL("ALTER ROLE {} PASSWORD {}")
        .format(sql.Identifier(user["username"]), sql.Literal(stored))
        .as_string(None)
    )
