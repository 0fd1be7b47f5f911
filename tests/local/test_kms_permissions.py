"""Who may use a key of the local KMS: policies of callers and keys, grants, and the encryption context.

Sources: KMS Developer Guide, key-policies, grants, conditions-kms and alias-access; API reference, ReEncrypt;
the texts: https://github.com/jbrt/ec2cryptomatic/issues/26 and aws-lambda-env-vars/issues/7 show AWS's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from rotators.local.aws import LocalAws
from tests.local.kms_keys import new_key, refusal, rsa_key, signing_key
from tests.world import unique

ROLE = "arn:aws:iam::123456789012:role/keyuser"
DATA = b"some data"
ALL = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
UNKNOWN = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
    "you are not allowed to access."
)


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


@pytest.fixture(scope="module")
def user() -> Iterator[Any]:
    """A client with the role `keyuser`, whose policies a test sets with `aws.watch`."""
    client = boto3.client("kms", aws_access_key_id="local-keyuser", aws_secret_access_key="local")
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nobody_watched(aws: LocalAws) -> Iterator[None]:
    yield
    aws.watch(None)


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def allow_if(condition: dict[str, Any], *actions: str) -> dict[str, Any]:
    return {**allow(*actions), "Condition": condition}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def denied(action: str, key: str, kind: str) -> tuple[str, str]:
    text = (
        "User: arn:aws:sts::123456789012:assumed-role/keyuser/keyuser is not authorized to perform: "
        f"{action} on resource: {key} because no {kind}-based policy allows the {action} action"
    )
    return "AccessDeniedException", text


def test_both_policies_are_needed(aws: LocalAws, kms: Any, user: Any) -> None:
    """KMS guide: key-policies; a policy for the account leaves the decision to the caller's policies."""
    key = new_key(kms)
    closed = new_key(
        kms, Policy=policy({**ALL, "Principal": {"AWS": "arn:aws:iam::123456789012:role/admin"}})
    )
    aws.watch({"keyuser": []})
    refused = refusal(user.encrypt, KeyId=key, Plaintext=DATA)
    assert refused == denied("kms:Encrypt", key, "identity")
    aws.watch({"keyuser": [ALL]})
    assert user.encrypt(KeyId=key, Plaintext=DATA)["KeyId"] == key
    refused = refusal(user.encrypt, KeyId=closed, Plaintext=DATA)
    assert refused == denied("kms:Encrypt", closed, "resource")


def test_a_key_policy_alone_is_enough(aws: LocalAws, kms: Any, user: Any) -> None:
    """KMS guide: key-policies; a changed policy counts at once."""
    mine = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:Sign", "Resource": "*"}
    key = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY", Policy=policy(mine))
    params = {"KeyId": key, "Message": DATA, "SigningAlgorithm": "ECDSA_SHA_256"}
    aws.watch({"keyuser": []})
    signature = user.sign(**params)["Signature"]
    assert refusal(user.verify, Signature=signature, **params)[0] == "AccessDeniedException"
    kms.put_key_policy(KeyId=key, Policy=policy({**mine, "Action": "kms:Verify"}))
    assert user.verify(Signature=signature, **params)["SignatureValid"]
    assert refusal(user.sign, **params)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("constraint", "context", "allowed"),
    [
        ("EncryptionContextSubset", {"app": "one"}, True),
        ("EncryptionContextSubset", {"app": "two"}, False),
        ("EncryptionContextEquals", {"app": "one", "table": "users"}, True),
        ("EncryptionContextEquals", {"app": "one"}, False),
    ],
)
def test_grants_permit_their_operations(
    aws: LocalAws, kms: Any, user: Any, constraint: str, context: dict[str, str], allowed: bool
) -> None:
    """KMS guide: grants; API reference, GrantConstraints: the whole context, or a part of it."""
    key, used = new_key(kms), {"app": "one", "table": "users"}
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA, EncryptionContext=used)["CiphertextBlob"]
    asked = {"CiphertextBlob": sealed, "EncryptionContext": used, "KeyId": key}
    aws.watch({"keyuser": []})
    grant = kms.create_grant(
        KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"], Constraints={constraint: context}
    )["GrantId"]
    if allowed:
        assert user.decrypt(**asked)["Plaintext"] == DATA
        answer = refusal(user.encrypt, KeyId=key, Plaintext=DATA, EncryptionContext=used)
        assert answer[0] == "AccessDeniedException"
        kms.revoke_grant(KeyId=key, GrantId=grant)
    assert refusal(user.decrypt, **asked) == denied("kms:Decrypt", key, "identity")


def test_the_context_decides(aws: LocalAws, kms: Any, user: Any) -> None:
    """KMS guide: conditions-kms, kms:EncryptionContext and kms:EncryptionContextKeys."""
    key = new_key(kms)
    condition = {
        "StringEquals": {"kms:EncryptionContext:app": "one"},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app"]},
    }
    aws.watch({"keyuser": [allow_if(condition, "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext")]})
    for context, allowed in (
        ({"app": "one"}, True),
        ({"app": "two"}, False),
        ({"app": "one", "b": "x"}, False),
    ):
        for call, params in (
            (user.encrypt, {"Plaintext": DATA}),
            (user.generate_data_key_without_plaintext, {"KeySpec": "AES_256"}),
        ):
            if allowed:
                call(KeyId=key, EncryptionContext=context, **params)
            else:
                answer = refusal(call, KeyId=key, EncryptionContext=context, **params)
                assert answer[0] == "AccessDeniedException"


def test_decrypt_is_decided_for_the_ciphertexts_key(aws: LocalAws, kms: Any, user: Any) -> None:
    """A ciphertext names its key; without KeyId, the refusal does not reveal whether that key exists."""
    mine, other = new_key(kms), new_key(kms)
    ciphertexts = {key: kms.encrypt(KeyId=key, Plaintext=DATA)["CiphertextBlob"] for key in (mine, other)}
    aws.watch({"keyuser": [allow("kms:Decrypt", resource=mine)]})
    assert user.decrypt(CiphertextBlob=ciphertexts[mine])["Plaintext"] == DATA
    assert refusal(user.decrypt, CiphertextBlob=ciphertexts[other]) == ("AccessDeniedException", UNKNOWN)
    named = refusal(user.decrypt, CiphertextBlob=ciphertexts[other], KeyId=other)
    assert named == denied("kms:Decrypt", other, "identity")
    assert refusal(user.decrypt, CiphertextBlob=b"nothing") == ("InvalidCiphertextException", "")


def test_re_encrypting_needs_two_permissions(aws: LocalAws, kms: Any, user: Any) -> None:
    """API:ReEncrypt: kms:ReEncryptFrom on the source key, kms:ReEncryptTo on the destination key."""
    old, new = new_key(kms), new_key(kms)
    params = {
        "CiphertextBlob": kms.encrypt(KeyId=old, Plaintext=DATA)["CiphertextBlob"],
        "DestinationKeyId": new,
    }
    source = allow("kms:ReEncryptFrom", resource=old)
    destination = allow("kms:ReEncryptTo", resource=new)
    for missing in (source, destination):
        aws.watch({"keyuser": [each for each in (source, destination) if each is not missing]})
        assert refusal(user.re_encrypt, **params)[0] == "AccessDeniedException"
    aws.watch({"keyuser": [source, destination]})
    assert user.re_encrypt(**params)["KeyId"] == new


@pytest.mark.parametrize(
    ("operator", "name", "value", "fits"),
    [
        ("StringEquals", "kms:SigningAlgorithm", "ECDSA_SHA_256", True),
        ("StringEquals", "kms:SigningAlgorithm", "ECDSA_SHA_384", False),
        ("StringEquals", "kms:MessageType", "RAW", True),
        ("StringEquals", "kms:MessageType", "DIGEST", False),
        ("StringEquals", "kms:KeySpec", "ECC_NIST_P256", True),
        ("StringEquals", "kms:KeyUsage", "ENCRYPT_DECRYPT", False),
        ("StringEquals", "kms:KeyOrigin", "AWS_KMS", True),
        ("StringEquals", "kms:CallerAccount", "123456789012", True),
        ("Bool", "kms:MultiRegion", "false", True),
        ("StringEquals", "aws:ResourceTag/team", "a", True),
        ("StringEquals", "aws:ResourceTag/team", "b", False),
        ("ForAnyValue:StringEquals", "kms:ResourceAliases", "alias/kms-conditions", True),
        ("ForAnyValue:StringEquals", "kms:ResourceAliases", "alias/other", False),
        ("StringEquals", "kms:RequestAlias", "alias/kms-conditions", True),
        ("StringEquals", "kms:RequestAlias", "alias/other", False),
        ("StringEquals", "kms:ViaService", "secretsmanager.us-east-1.amazonaws.com", False),
    ],
)
def test_conditions_see_key_and_request(
    aws: LocalAws, kms: Any, user: Any, operator: str, name: str, value: str, fits: bool
) -> None:
    """KMS guide: conditions-kms, conditions-aws and alias-authorization."""
    alias = "alias/kms-conditions"
    key = signing_key(kms, "ECC_NIST_P256")
    if not any(each["AliasName"] == alias for each in kms.list_aliases()["Aliases"]):
        kms.create_alias(AliasName=alias, TargetKeyId=key)
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "a"}])
    aws.watch({"keyuser": [allow_if({operator: {name: value}}, "kms:Sign")]})
    params = {"KeyId": alias, "Message": DATA, "SigningAlgorithm": "ECDSA_SHA_256"}
    if fits:
        assert user.sign(**params)["KeyId"] == key
    else:
        assert refusal(user.sign, **params) == denied("kms:Sign", key, "identity")


def test_conditions_see_other_parameters(aws: LocalAws, kms: Any, user: Any) -> None:
    """KMS guide: conditions-kms; values outside the condition are refused."""
    key, rsa, mac = new_key(kms), rsa_key(kms, "RSA_2048"), new_key(kms, "HMAC_256", "GENERATE_VERIFY_MAC")
    grant = {"GranteePrincipal": ROLE, "KeyId": key}
    for call, condition, good, bad in (
        (
            user.enable_key_rotation,
            {"NumericGreaterThan": {"kms:RotationPeriodInDays": "100"}},
            {"KeyId": key, "RotationPeriodInDays": 101},
            {"KeyId": key, "RotationPeriodInDays": 100},
        ),
        (
            user.create_grant,
            {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "Encrypt"]}},
            {"Operations": ["Decrypt"], **grant},
            {"Operations": ["Decrypt", "Sign"], **grant},
        ),
        (
            user.encrypt,
            {"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}},
            {"KeyId": rsa, "Plaintext": DATA, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"},
            {"KeyId": rsa, "Plaintext": DATA, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"},
        ),
        (
            user.generate_mac,
            {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}},
            {"KeyId": mac, "Message": DATA, "MacAlgorithm": "HMAC_SHA_256"},
            {"KeyId": mac, "Message": DATA, "MacAlgorithm": "HMAC_SHA_512"},
        ),
        (
            user.create_key,
            {"StringEquals": {"kms:KeySpec": "ECC_NIST_P256", "kms:KeyUsage": "SIGN_VERIFY"}},
            {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
            {},
        ),
        (
            user.schedule_key_deletion,
            {"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "10"}},
            {"KeyId": key, "PendingWindowInDays": 10},
            {"KeyId": mac, "PendingWindowInDays": 7},
        ),
    ):
        aws.watch({"keyuser": [allow_if(condition, "kms:*")]})
        call(**good)
        assert refusal(call, **bad)[0] == "AccessDeniedException"


def test_a_tagged_key_needs_a_second_permission(aws: LocalAws, user: Any) -> None:
    """API:CreateKey, Tags: kms:TagResource in a policy of the caller."""
    tags = [{"TagKey": "team", "TagValue": "a"}]
    aws.watch({"keyuser": [allow("kms:CreateKey")]})
    assert refusal(user.create_key, Tags=tags)[0] == "AccessDeniedException"
    user.create_key()
    tagged = {"StringEquals": {"aws:RequestTag/team": "a"}}
    aws.watch({"keyuser": [allow_if(tagged, "kms:CreateKey", "kms:TagResource")]})
    user.create_key(Tags=tags)


def test_an_alias_and_its_keys_are_decided(aws: LocalAws, kms: Any, user: Any) -> None:
    """KMS guide: alias-access: permission on the alias, on the key before and on the key afterwards."""
    first, second, alias = new_key(kms), new_key(kms), f"alias/{unique('permission')}"
    of_alias = f"arn:aws:kms:us-east-1:123456789012:{alias}"
    actions = ("kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias")
    for call, params, needed in (
        (user.create_alias, {"AliasName": alias, "TargetKeyId": first}, (of_alias, first)),
        (user.update_alias, {"AliasName": alias, "TargetKeyId": second}, (of_alias, first, second)),
        (user.delete_alias, {"AliasName": alias}, (of_alias, second)),
    ):
        for missing in needed:
            allowed = [allow(*actions, resource=each) for each in needed if each != missing]
            aws.watch({"keyuser": allowed})
            assert refusal(call, **params)[0] == "AccessDeniedException"
        aws.watch({"keyuser": [allow(*actions, resource=each) for each in needed]})
        call(**params)


def test_a_key_of_another_account_is_used(aws: LocalAws, kms: Any) -> None:
    """KMS guide: key-policy-modifying-external-accounts: both accounts must allow it."""
    role = "arn:aws:iam::222222222222:role/kms-across"
    assumed = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="across")["Credentials"]
    there, key = aws.client("kms", credentials=assumed), new_key(kms)
    aws.watch({"kms-across": [ALL]})
    refused = refusal(there.encrypt, KeyId=key, Plaintext=DATA)
    assert refused[0] == "AccessDeniedException"
    shared = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=policy(shared))
    sealed = there.encrypt(KeyId=key, Plaintext=DATA)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == DATA
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == DATA
    # An id is one of the caller's own account (API reference, KeyId).
    assert refusal(there.encrypt, KeyId=key.rpartition("/")[2], Plaintext=DATA)[0] == "NotFoundException"
    there.close()


def test_only_grants_are_managed_across_accounts(aws: LocalAws, kms: Any) -> None:
    """API reference: "Cross-account use" of ListGrants, GetKeyPolicy and the others."""
    session = aws.client("sts").assume_role(
        RoleArn="arn:aws:iam::210987654321:role/keeper", RoleSessionName="keeper"
    )
    key = new_key(aws.client("kms", credentials=session["Credentials"]))
    assert kms.list_grants(KeyId=key)["Grants"] == []
    for call in (kms.get_key_policy, kms.list_key_policies, kms.list_resource_tags):
        assert refusal(call, KeyId=key)[0] == "AccessDeniedException"
