"""Verification of chains: every kind of change of 50 receipts is detected, offline."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from rotators.receipts.envelope import LONGEST_FILE, Envelope, digest_of, signed_bytes
from rotators.receipts.errors import ReceiptInputInvalid, ReceiptUnreadable
from rotators.receipts.keys import verifier
from rotators.receipts.statement import LONGEST_NAME, LONGEST_WORD, Code, decoded, encoded
from rotators.receipts.storage import StoredReceipt, folder_of, place_of
from rotators.receipts.verification import Chain, Known, verified
from tests.receipts.chains import ARN, KEY_ARN, NOON, Key, chain, changed, receipt

KEY, THIEF = Key(), Key()
COUNT = 50
CHAIN = chain(KEY, COUNT)
VERIFY = verifier([KEY.pem])
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (FIPS 186-5)."""


def one(files: list[StoredReceipt], known: dict[str, Known] | None = None) -> Chain:
    (found,) = verified(files, VERIFY, known or {})
    return found


def problems(files: list[StoredReceipt]) -> list[tuple[str, str]]:
    """Problem and number of each finding."""
    return [(each.problem, each.place[-14:-5].lstrip("0")) for each in one(files).findings]


def resigned(data: bytes, key: Key = KEY, **changes: Any) -> bytes:
    old = decoded(Envelope.decoded(data).payload)
    return key.sign(old.model_copy(update=changes))


def test_a_chain_of_fifty_receipts_is_intact() -> None:
    found = one(CHAIN)
    assert (found.findings, found.notes, found.secret) == ((), (), ARN)
    assert [each.number for each in found.receipts] == [*range(1, COUNT + 1)]
    assert found.newest == Known(COUNT, digest_of(CHAIN[-1].data))


def test_files_are_read_in_any_order() -> None:
    assert one(CHAIN[::-1]) == one(CHAIN)


@pytest.mark.parametrize("at", [0, 20, 48])
def test_a_removed_receipt_is_missing(at: int) -> None:
    assert problems(CHAIN[:at] + CHAIN[at + 1 :]) == [("missing", str(at + 1))]


def test_many_removed_receipts_are_one_finding() -> None:
    assert [each.message for each in one(CHAIN[:5] + CHAIN[9:]).findings] == ["receipts 6 to 9 are missing"]


@pytest.mark.parametrize("at", [0, 20, 49])
def test_a_changed_receipt_is_forged(at: int) -> None:
    def change(data: bytes) -> bytes:
        envelope = Envelope.decoded(data)
        return replace(envelope, payload=envelope.payload.replace(b"postgres", b"mariadb!")).encoded()

    after = [("broken", str(at + 2))] if at < COUNT - 1 else []
    assert problems(changed(CHAIN, at, change)) == [("forged", str(at + 1)), *after]


def test_exchanged_receipts_are_misplaced() -> None:
    files = list(CHAIN)
    files[9], files[19] = replace(files[9], data=files[19].data), replace(files[19], data=files[9].data)
    found = problems(files)
    assert {("misplaced", "10"), ("misplaced", "20")} <= {*found}
    assert {number for problem, number in found if problem == "broken"} == {"10", "11", "20", "21"}


def test_a_receipt_by_an_unknown_key_is_forged() -> None:
    assert problems(changed(CHAIN, 20, lambda data: resigned(data, THIEF))) == [
        ("forged", "21"),
        ("broken", "22"),
    ]


def test_a_chain_by_an_unknown_key_is_forged() -> None:
    found = one(chain(THIEF, 3))
    assert [each.problem for each in found.findings] == ["forged"] * 3
    assert found.secret is None


@pytest.mark.parametrize("changes", [{}, {"rotator": "other"}])
def test_a_receipt_signed_again_breaks_the_chain(changes: dict[str, Any]) -> None:
    assert problems(changed(CHAIN, 20, lambda data: resigned(data, **changes))) == [("broken", "22")]


def test_the_other_form_of_a_signature_shows() -> None:
    def malleated(data: bytes) -> bytes:
        envelope = Envelope.decoded(data)
        r, s = decode_dss_signature(envelope.signature)
        return replace(envelope, signature=encode_dss_signature(r, ORDER - s)).encoded()

    assert problems(changed(CHAIN, 20, malleated)) == [("broken", "22")]
    assert problems(changed(CHAIN, COUNT - 1, malleated)) == []  # the end: detected only with --known
    known = {folder_of(ARN): Known(COUNT, digest_of(CHAIN[-1].data))}
    assert [each.problem for each in one(changed(CHAIN, COUNT - 1, malleated), known).findings] == [
        "replaced"
    ]


def test_a_shorter_chain_needs_an_earlier_result() -> None:
    known = {folder_of(ARN): Known(COUNT, digest_of(CHAIN[-1].data))}
    assert one(CHAIN[:-3]).findings == ()
    assert [each.problem for each in one(CHAIN[:-3], known).findings] == ["truncated"]
    assert one(CHAIN, known).findings == ()
    assert [each.problem for each in one([], known).findings] == ["truncated"]


def test_a_chain_may_grow_after_a_verification() -> None:
    known = {folder_of(ARN): Known(40, digest_of(CHAIN[39].data))}
    assert one(CHAIN, known).findings == ()


def test_a_receipt_of_another_secret_is_misplaced() -> None:
    (other,) = chain(KEY, 1, ARN.replace("db-", "other-"))
    files = [replace(other, place=CHAIN[0].place), *CHAIN[1:]]
    assert problems(files) == [("misplaced", "1"), ("broken", "2")]


def test_chains_are_verified_one_by_one() -> None:
    other = chain(KEY, 3, ARN.replace("db-", "other-"))
    found = verified([*CHAIN, *other[:1], *other[2:]], VERIFY, {})
    assert sorted((len(each.receipts), len(each.findings)) for each in found) == [(2, 1), (50, 0)]


def test_a_hidden_receipt_is_reported() -> None:
    files = [replace(CHAIN[0], replaced=True), *CHAIN[1:]]
    assert problems(files) == [("replaced", "1")]


def test_the_first_receipt_names_no_previous_one() -> None:
    files = changed(CHAIN[:1], 0, lambda data: resigned(data, previous="0" * 64))
    assert problems(files) == [("broken", "1")]


def test_files_with_other_names_are_ignored() -> None:
    assert (
        one(
            [*CHAIN, StoredReceipt(f"{folder_of(ARN)}/public.pem", b"x"), StoredReceipt("known.json", b"x")]
        ).findings
        == ()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 10_000,
        b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}',
        b'{"payload":1,"payloadType":"x","signatures":[{"keyid":"k","sig":"AA=="}]}',
        b'{"payload":"e30=","payloadType":"x","signatures":[1]}',
        b"9" * 5000,
        CHAIN[0].data + b"\n",
        CHAIN[0].data.replace(b",", b", "),
        CHAIN[0].data * 20,
        b"\xff\xfe",
    ],
)
def test_a_file_without_a_receipt_is_unreadable(data: bytes) -> None:
    assert problems([StoredReceipt(place_of(ARN, 1), data)]) == [("unreadable", "1")]


def test_a_signed_statement_about_something_else_is_unreadable() -> None:
    for payload in (b"{}", b"[]", CHAIN_PAYLOAD.replace(b"urn:rotators:receipt:v1", b"urn:other")):
        signature = KEY.private.sign(signed_bytes(payload), ec.ECDSA(SHA256()))
        file = StoredReceipt(place_of(ARN, 1), Envelope(payload, KEY_ARN, signature).encoded())
        assert problems([file]) == [("unreadable", "1")]


def test_the_subject_must_be_the_version() -> None:
    other = CHAIN_PAYLOAD.replace(b'"digest":{"secretVersionId":"', b'"digest":{"secretVersionId":"0', 1)
    with pytest.raises(ReceiptUnreadable):
        decoded(other)


CHAIN_PAYLOAD = Envelope.decoded(CHAIN[0].data).payload


@given(st.data())
def test_every_changed_byte_is_detected(data: st.DataObject) -> None:
    files = CHAIN[:4]
    at = data.draw(st.integers(0, len(files) - 1))
    position = data.draw(st.integers(0, len(files[at].data) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != files[at].data[position]))

    def change(old: bytes) -> bytes:
        return old[:position] + bytes([byte]) + old[position + 1 :]

    assert one(changed(files, at, change)).findings


@given(
    st.lists(st.integers(0, 5), min_size=5, max_size=6).filter(
        lambda order: order not in ([*range(5)], [*range(6)])
    )
)
def test_every_other_order_is_detected(order: list[int]) -> None:
    """Files removed, repeated and exchanged: anything but the chain, or the chain without its end."""
    files = [replace(CHAIN[index], place=place_of(ARN, number)) for number, index in enumerate(order, 1)]
    assert one(files).findings


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_crash(data: bytes) -> None:
    assert one([StoredReceipt(place_of(ARN, 1), data)]).findings


def test_notes_name_gaps_and_unknown_facts() -> None:
    first, second = chain(KEY, 2)
    late = resigned(second.data, filled_later=True, unknown=("steps",), replaced_version="another")
    notes = one([first, replace(second, data=late)]).notes
    assert notes[0] == "receipt 2 was written later and lacks steps"
    assert notes[1].startswith(
        "between receipts 1 and 2 the value changed without a receipt: version another"
    )


@pytest.mark.parametrize(
    "pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff"]
)
def test_a_file_without_a_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ReceiptInputInvalid, match="--key"):
        verifier([pem])


def test_one_of_several_keys_is_enough() -> None:
    both = verifier([THIEF.pem, KEY.pem])
    assert verified(CHAIN, both, {})[0].findings == ()


def test_the_longest_receipt_can_be_signed_by_kms() -> None:
    """KMS signs 4,096 bytes (API:Sign, Message)."""
    arn = f"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:{'x' * 512}-AbCdEf"
    key = "\U0001f511"
    name, digest, version = key * LONGEST_NAME, "ab" * 32, "v" * 64
    steps = tuple(
        each.model_copy(update={"outcome": key * LONGEST_WORD, "started": NOON.replace(microsecond=123456)})
        for each in receipt(1, None, None).steps
    )
    longest = receipt(
        1,
        digest,
        version,
        secret=arn,
        version=version,
        steps=steps,
        failed_steps=10**6,
        rotator=name,
        strategy=name,
        function=f"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:{'x' * 64}",
        code=Code(sha256=digest),
        signing_key=KEY_ARN.replace("aws", "aws-us-gov").replace("eu-west-1", "us-gov-west-1"),
        unknown=("code", "replacedVersion", "rotator", "steps"),
    ).model_copy(update={"number": 999_999_999})
    assert len(signed_bytes(encoded(longest))) <= 4096
    assert len(KEY.sign(longest)) <= LONGEST_FILE


@pytest.mark.processes
def test_openssl_verifies_a_receipt(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    envelope = json.loads(CHAIN[0].data)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    for name, content in (
        ("key.pem", KEY.pem),
        ("signature", base64.b64decode(envelope["signatures"][0]["sig"])),
        ("signed", f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload),
    ):
        (tmp_path / name).write_bytes(content)
    command = [openssl, "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Verified OK\n"


def test_folders_differ_for_each_secret() -> None:
    names = ("a/b", "a-b", "a.b", "A/b", "../a", "x" * 500, "..", "a" * 500)
    folders = [
        folder_of(f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf") for name in names
    ]
    assert len({*folders}) == len(names)
    assert all(len(each) < 100 and "/" not in each and not each.startswith(".") for each in folders)
