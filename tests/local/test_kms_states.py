"""Creation, states, deletion, aliases and rotation of keys of the local KMS.

Sources: KMS API reference of the operations; KMS Developer Guide, key-state and rotate-keys; recorded:
answers that LocalStack's tests recorded on AWS.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from tests.local.kms_keys import ARN, MISSING, new_key, refusal
from tests.world import unique


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


def metadata(kms: Any, key: str) -> dict[str, Any]:
    found: dict[str, Any] = kms.describe_key(KeyId=key)["KeyMetadata"]
    return found


def test_a_key_is_described(kms: Any) -> None:
    """Recorded: the members of CreateKey and DescribeKey; the default is a symmetric key."""
    created = kms.create_key(Description="a key", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]
    assert metadata(kms, created["KeyId"]) == created
    del created["CreationDate"]
    assert len(created.pop("CurrentKeyMaterialId")) == 64
    assert created == {
        "AWSAccountId": "123456789012",
        "Arn": ARN + created["KeyId"],
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "a key",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": created["KeyId"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }
    tags = kms.list_resource_tags(KeyId=created["KeyId"])["Tags"]
    assert tags == [{"TagKey": "a", "TagValue": "1"}]


def test_asymmetric_keys_have_no_material_id(kms: Any) -> None:
    """API:KeyMetadata, CurrentKeyMaterialId; recorded for an HMAC key."""
    for spec, usage, member, listed in (
        ("HMAC_256", "GENERATE_VERIFY_MAC", "MacAlgorithms", ["HMAC_SHA_256"]),
        ("ECC_NIST_P256", "SIGN_VERIFY", "SigningAlgorithms", ["ECDSA_SHA_256"]),
    ):
        created = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        assert created[member] == listed
        assert "CurrentKeyMaterialId" not in created


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"KeySpec": "RSA_2048"},
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            {"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"},
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
        ),
        (
            {"KeyUsage": "SIGN_VERIFY"},
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
    ],
)
def test_key_usage_must_fit_the_key_spec(kms: Any, params: dict[str, str], text: str) -> None:
    """Recorded; the last one: API:CreateKey, KeyUsage."""
    assert refusal(kms.create_key, **params) == ("ValidationException", text)


@pytest.mark.parametrize(("member", "value"), [("KeySpec", "HMAC_random"), ("KeyUsage", "RANDOM")])
def test_unknown_specs_and_usages_are_refused(kms: Any, member: str, value: str) -> None:
    """Recorded, with the shorter lists of 2023."""
    code, text = refusal(kms.create_key, **{"KeySpec": "HMAC_256", member: value})
    name = member[0].lower() + member[1:]
    start = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
    assert code == "ValidationException"
    assert text.startswith(f"{start}Member must satisfy enum value set: [")


@pytest.mark.parametrize(
    "params",
    [
        {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
        {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"},
        {"Origin": "EXTERNAL"},
    ],
)
def test_missing_kinds_of_keys_are_refused(kms: Any, params: dict[str, str]) -> None:
    """A limit of the local AWS, instead of a key that does not do what it should."""
    code, text = refusal(kms.create_key, **params)
    assert (code, text.startswith("The local AWS has no keys ")) == ("UnsupportedOperationException", True)


def test_a_policy_must_be_one(kms: Any) -> None:
    """API:PutKeyPolicy, MalformedPolicyDocumentException."""
    key = new_key(kms)
    before = kms.get_key_policy(KeyId=key)["Policy"]
    for policy in ("nonsense", '{"Statement": [{"Effect": "Perhaps"}]}'):
        for call, params in ((kms.put_key_policy, {"KeyId": key}), (kms.create_key, {})):
            assert refusal(call, Policy=policy, **params)[0] == "MalformedPolicyDocumentException"
    assert kms.get_key_policy(KeyId=key)["Policy"] == before


SIGNED = {"Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
MAC = {"Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}


def _use_symmetric(kms: Any, key: str) -> list[tuple[Any, dict[str, Any]]]:
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    other = new_key(kms)
    foreign = kms.encrypt(KeyId=other, Plaintext=b"x")["CiphertextBlob"]
    grant = {"GranteePrincipal": "arn:aws:iam::123456789012:role/r", "Operations": ["Decrypt"]}
    return [
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": sealed}),
        (kms.decrypt, {"CiphertextBlob": sealed, "KeyId": key}),
        (kms.re_encrypt, {"CiphertextBlob": sealed, "DestinationKeyId": other}),
        (kms.re_encrypt, {"CiphertextBlob": foreign, "DestinationKeyId": key}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_pair, {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        (kms.generate_data_key_pair_without_plaintext, {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        (kms.enable_key_rotation, {"KeyId": key}),
        (kms.disable_key_rotation, {"KeyId": key}),
        (kms.rotate_key_on_demand, {"KeyId": key}),
        (kms.create_grant, {"KeyId": key, **grant}),
    ]


def _use_signing(kms: Any, key: str) -> list[tuple[Any, dict[str, Any]]]:
    signature = kms.sign(KeyId=key, **SIGNED)["Signature"]
    return [
        (kms.sign, {"KeyId": key, **SIGNED}),
        (kms.verify, {"KeyId": key, "Signature": signature, **SIGNED}),
        (kms.get_public_key, {"KeyId": key}),
    ]


def _use_mac(kms: Any, key: str) -> list[tuple[Any, dict[str, Any]]]:
    mac = kms.generate_mac(KeyId=key, **MAC)["Mac"]
    return [
        (kms.generate_mac, {"KeyId": key, **MAC}),
        (kms.verify_mac, {"KeyId": key, "Mac": mac, **MAC}),
    ]


USES = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", _use_symmetric),
    ("ECC_NIST_P256", "SIGN_VERIFY", _use_signing),
    ("HMAC_256", "GENERATE_VERIFY_MAC", _use_mac),
]


@pytest.mark.parametrize(("spec", "usage", "uses"), USES, ids=[spec for spec, _, _ in USES])
def test_disabled_and_deleted_keys_refuse(kms: Any, spec: str, usage: str, uses: Any) -> None:
    """KMS guide: key-state, notes 1 and 3; recorded for GenerateDataKey and RotateKeyOnDemand."""
    key = new_key(kms, spec, usage)
    calls = uses(kms, key)
    kms.disable_key(KeyId=key)
    for call, params in calls:
        assert refusal(call, **params) == ("DisabledException", f"{key} is disabled.")
    kms.schedule_key_deletion(KeyId=key)
    for call, params in calls:
        assert refusal(call, **params) == ("KMSInvalidStateException", f"{key} is pending deletion.")
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    call, params = calls[0]
    call(**params)


def test_a_deleted_key_keeps_its_description(kms: Any) -> None:
    """KMS guide: key-state, TagResource, UntagResource and UpdateKeyDescription."""
    key = new_key(kms, Description="before")
    kms.schedule_key_deletion(KeyId=key)
    for call, params in (
        (kms.update_key_description, {"Description": "after"}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "1"}]}),
        (kms.untag_resource, {"TagKeys": ["a"]}),
    ):
        answer = refusal(call, KeyId=key, **params)
        assert answer == ("KMSInvalidStateException", f"{key} is pending deletion.")
    assert metadata(kms, key)["Description"] == "before"
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert refusal(kms.list_grants, KeyId=MISSING)[0] == "NotFoundException"


def test_a_deletion_is_scheduled_and_cancelled(kms: Any) -> None:
    """API:ScheduleKeyDeletion and CancelKeyDeletion; recorded: deletion scheduled twice."""
    key = new_key(kms)
    text = f"{key} is not pending deletion."
    assert refusal(kms.cancel_key_deletion, KeyId=key) == ("KMSInvalidStateException", text)
    answer = kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (key, "PendingDeletion", 7)
    found = metadata(kms, key)
    assert (found["KeyState"], found["Enabled"]) == ("PendingDeletion", False)
    assert abs(found["DeletionDate"] - datetime.now(UTC) - timedelta(days=7)) < timedelta(hours=1)
    pending = ("KMSInvalidStateException", f"{key} is pending deletion.")
    for call in (kms.schedule_key_deletion, kms.enable_key, kms.disable_key):
        assert refusal(call, KeyId=key) == pending
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    found = metadata(kms, key)
    assert found["KeyState"] == "Disabled"
    assert "DeletionDate" not in found


@pytest.mark.parametrize("days", [6, 31])
def test_the_window_of_a_deletion_is_limited(kms: Any, days: int) -> None:
    """API:ScheduleKeyDeletion: 7 to 30 days."""
    key = new_key(kms)
    code, _ = refusal(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)
    assert (code, metadata(kms, key)["KeyState"]) == ("ValidationException", "Enabled")


def test_an_alias_of_a_deleted_key_refuses(kms: Any) -> None:
    """KMS guide: key-state; UpdateAlias, note 10: from a key that is pending deletion, but not to one."""
    key, other, alias = new_key(kms), new_key(kms), f"alias/{unique('deleted')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.schedule_key_deletion(KeyId=key)
    pending = ("KMSInvalidStateException", f"{key} is pending deletion.")
    assert refusal(kms.encrypt, KeyId=alias, Plaintext=b"x") == pending
    assert refusal(kms.create_alias, AliasName=f"{alias}-2", TargetKeyId=key) == pending
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    assert kms.encrypt(KeyId=alias, Plaintext=b"x")["KeyId"] == other
    assert refusal(kms.update_alias, AliasName=alias, TargetKeyId=key) == pending
    kms.delete_alias(AliasName=alias)
    assert refusal(kms.encrypt, KeyId=alias, Plaintext=b"x")[0] == "NotFoundException"


def test_aliases_have_rules(kms: Any) -> None:
    """Recorded: the prefix; API:CreateAlias and UpdateAlias: names of AWS, and one type and usage.

    The other texts are those of moto's tests.
    """
    key, alias = new_key(kms), f"alias/{unique('rules')}"
    start = 'Alias must start with the prefix "alias/". Please see '
    code, text = refusal(kms.create_alias, AliasName="rules", TargetKeyId=key)
    assert (code, text.startswith(start)) == ("ValidationException", True)
    for name, part in (
        ("alias/a!", "regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
        ("alias/a:b", "invalid char"),
    ):
        code, text = refusal(kms.create_alias, AliasName=name, TargetKeyId=key)
        assert (code, part in text) == ("ValidationException", True)
    code, _ = refusal(kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=key)
    assert code == "NotAuthorizedException"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    code, _ = refusal(kms.create_alias, AliasName=alias, TargetKeyId=key)
    assert code == "AlreadyExistsException"
    answer = refusal(kms.create_alias, AliasName=f"{alias}-2", TargetKeyId=alias)
    assert answer == ("ValidationException", "Aliases must refer to keys. Not aliases")
    code, _ = refusal(kms.update_alias, AliasName=f"{alias}-2", TargetKeyId=key)
    assert code == "NotFoundException"
    signing = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    assert refusal(kms.update_alias, AliasName=alias, TargetKeyId=signing)[0] == "ValidationException"
    assert kms.encrypt(KeyId=alias, Plaintext=b"x")["KeyId"] == key
    # Management operations do not accept an alias (API reference, KeyId of these operations).
    for call in (kms.disable_key, kms.enable_key_rotation, kms.schedule_key_deletion):
        assert refusal(call, KeyId=alias) == ("NotFoundException", f"Invalid keyId '{alias}'")


@pytest.mark.parametrize("period", [None, 90, 2560])
def test_automatic_rotation_has_a_period(kms: Any, period: int | None) -> None:
    """Recorded: the members of the status; API:EnableKeyRotation: 365 days by default."""
    key = new_key(kms)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyId"], status["KeyRotationEnabled"]) == (key, False)
    assert "RotationPeriodInDays" not in status
    kms.enable_key_rotation(KeyId=key, **({"RotationPeriodInDays": period} if period else {}))
    status = kms.get_key_rotation_status(KeyId=key)
    days = period or 365
    assert (status["KeyId"], status["KeyRotationEnabled"]) == (key, True)
    assert status["RotationPeriodInDays"] == days
    due = datetime.now(UTC) + timedelta(days=days)
    assert abs(status["NextRotationDate"] - due) < timedelta(hours=1)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_the_period_is_limited(kms: Any) -> None:
    """API:EnableKeyRotation, RotationPeriodInDays: 90 to 2,560 days; boto3 itself refuses less than 90."""
    text = (
        "1 validation error detected: Value '2561' at 'rotationPeriodInDays' failed to satisfy constraint: "
        "Member must have value less than or equal to 2560"
    )
    answer = refusal(kms.enable_key_rotation, KeyId=new_key(kms), RotationPeriodInDays=2561)
    assert answer == ("ValidationException", text)


def test_the_status_follows_the_state(kms: Any) -> None:
    """API:GetKeyRotationStatus: unchanged while disabled, false while pending deletion, then as before."""
    key = new_key(kms)
    kms.enable_key_rotation(KeyId=key)

    def enabled() -> bool:
        return bool(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"])

    kms.disable_key(KeyId=key)
    assert enabled()
    kms.schedule_key_deletion(KeyId=key)
    assert not enabled()
    kms.cancel_key_deletion(KeyId=key)
    assert enabled()


def test_a_rotated_key_decrypts_old_ciphertexts(kms: Any) -> None:
    """Recorded: KeyId is the ARN, CurrentKeyMaterialId changes, old ciphertexts still decrypt."""
    key = new_key(kms)
    kms.enable_key_rotation(KeyId=key)
    before = kms.get_key_rotation_status(KeyId=key)["NextRotationDate"]
    ids, ciphertexts = [], []
    for _ in range(3):
        ids.append(metadata(kms, key)["CurrentKeyMaterialId"])
        ciphertexts.append(kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
        assert kms.rotate_key_on_demand(KeyId=key.rpartition("/")[2])["KeyId"] == key
    assert len(set(ids)) == 3
    for used, ciphertext in zip(ids, ciphertexts, strict=True):
        found = kms.decrypt(CiphertextBlob=ciphertext)
        assert (found["Plaintext"], found["KeyMaterialId"]) == (b"x", used)
    # On-demand rotation leaves the schedule alone (API:RotateKeyOnDemand).
    assert kms.get_key_rotation_status(KeyId=key)["NextRotationDate"] == before


def test_rotations_are_listed(kms: Any) -> None:
    """API:ListKeyRotations: without the first material, unless all is asked for; in pages."""
    key = new_key(kms)
    first = metadata(kms, key)["CurrentKeyMaterialId"]
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    for _ in range(3):
        kms.rotate_key_on_demand(KeyId=key)
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [each["RotationType"] for each in rotations] == ["ON_DEMAND"] * 3
    assert [each["KeyMaterialState"] for each in rotations] == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
    assert {each["KeyId"] for each in rotations} == {key}
    assert rotations[-1]["KeyMaterialId"] == metadata(kms, key)["CurrentKeyMaterialId"]
    pages = kms.get_paginator("list_key_rotations").paginate(
        KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 3}
    )
    found = [page["Rotations"] for page in pages]
    assert [len(page) for page in found] == [3, 1]
    assert found[0][0]["KeyMaterialId"] == first
    assert "RotationDate" not in found[0][0]
    assert refusal(kms.list_key_rotations, KeyId=key, Marker="x")[0] == "InvalidMarkerException"


def test_rotations_on_demand_are_limited(kms: Any) -> None:
    """Recorded; API:RotateKeyOnDemand: 25 times."""
    key = new_key(kms)
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key)
    text = (
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can "
        f"be performed for this key: {key}"
    )
    assert refusal(kms.rotate_key_on_demand, KeyId=key) == ("LimitExceededException", text)


@pytest.mark.parametrize(
    ("spec", "usage"), [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
)
def test_other_keys_cannot_rotate(kms: Any, spec: str, usage: str) -> None:
    """Recorded for RotateKeyOnDemand: no message; the status answers (floci-io/floci#618)."""
    key = new_key(kms, spec, usage)
    for call in (kms.rotate_key_on_demand, kms.enable_key_rotation, kms.disable_key_rotation):
        assert refusal(call, KeyId=key) == ("UnsupportedOperationException", "")
    assert refusal(kms.list_key_rotations, KeyId=key)[0] == "UnsupportedOperationException"
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_a_missing_key_is_not_rotated(kms: Any) -> None:
    """As recorded on AWS."""
    answer = refusal(kms.rotate_key_on_demand, KeyId=MISSING)
    assert answer == ("NotFoundException", f"Key '{ARN}{MISSING}' does not exist")


def test_the_keys_of_aws_always_rotate(kms: Any) -> None:
    """API:GetKeyRotationStatus; KeyMetadata, KeyManager."""
    found = metadata(kms, "alias/aws/secretsmanager")
    assert found["KeyManager"] == "AWS"
    assert kms.get_key_rotation_status(KeyId=found["KeyId"])["KeyRotationEnabled"] is True


def test_replicas_share_material_and_rotation(aws: LocalAws, kms: Any) -> None:
    """KMS guide: multi-region-keys-overview, shared properties."""
    key = new_key(kms, MultiRegion=True)
    replica = kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]
    assert replica["CurrentKeyMaterialId"] == metadata(kms, key)["CurrentKeyMaterialId"]
    kms.rotate_key_on_demand(KeyId=key)
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    there = aws.client("kms", region="eu-west-1")
    assert there.decrypt(CiphertextBlob=sealed)["KeyId"] == replica["Arn"]
    for operation in (there.enable_key_rotation, there.disable_key_rotation, there.rotate_key_on_demand):
        assert refusal(operation, KeyId=replica["Arn"])[0] == "UnsupportedOperationException"
    kinds = [
        metadata(client, key.rpartition("/")[2])["MultiRegionConfiguration"]["MultiRegionKeyType"]
        for client in (kms, there)
    ]
    assert kinds == ["PRIMARY", "REPLICA"]
