"""ElastiCache and MemoryDB: engines ``elasticache`` and ``memorydb``, users (RBAC) and AUTH tokens.

Differences from Redis (rotators/engines/redis/), whose logins these caches accept:

- AWS's API changes the credential, and no command of the cache does. The function's role is the admin, so
  there is no ``masterarn``. The secret names the user (``user_arn``) or, on ElastiCache only, the group of
  replicas that has the AUTH token (``replication_group_arn``).
- A user has up to two passwords. ModifyUser and UpdateUser replace both, so ``dual`` is the only strategy.
- A change takes minutes. setSecret starts it; testSecret fails with the retryable reason ``propagating``
  until AWS reports the user as active and the pending password logs in. Nothing is sent to a user that is
  being modified.
- A group keeps the two newest AUTH tokens. ModifyReplicationGroup with ``ROTATE`` adds one and removes the
  older of the two; ``SET`` leaves only one. A rotation sends ``ROTATE``. The next rotation sends ``SET`` for
  the current token if another stored one still works, so that its ``ROTATE`` removes no other token.
- AWS reports the endpoints of a group, so the secret's host proves that its token is of that group.
- A second ROTATE after an interrupted rotation would remove the current token, so the next rotation takes the
  token of the interrupted one again.
- ROTATE on a group without a token would leave it open to everybody, so it is refused.

Sources: ElastiCache API reference, ModifyUser, DescribeUsers, ModifyReplicationGroup; ElastiCache User Guide,
Clusters.RBAC, auth; MemoryDB API reference, UpdateUser, DescribeUsers; MemoryDB Developer Guide, ACLs;
aws-samples/aws-secrets-manager-rotation-lambdas, ElasticacheUserRotation.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from rotators.core.passwords import PasswordRules
from rotators.engines.elasticache.strategy import ApiDual
from rotators.strategies.credential import Password
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator

if TYPE_CHECKING:
    from rotators.core.secret import Secret
    from rotators.engines.elasticache.resources import CacheResource


def elasticache() -> EngineRotator:
    """Return the rotator of ElastiCache (entry point)."""
    engine = CacheEngine("elasticache", "ElastiCache", "user_arn", "replication_group_arn")
    return EngineRotator(engine, "redis")


def memorydb() -> EngineRotator:
    """Return the rotator of MemoryDB (entry point)."""
    return EngineRotator(CacheEngine("memorydb", "MemoryDB", "user_arn"), "redis")


class CacheEngine(DriverEngine):
    """Limits and login of ElastiCache or MemoryDB.

    Args:
        engine: name of the engine and of AWS's service.
        title: the service's name in texts.
        *members: members of a secret that can name its resource; each secret has one of them.
    """

    session = "rotators.engines.elasticache.session"
    default_port = 6379
    longest_username = 128
    # The pages of the API allow different punctuation; "-" is on all of them.
    credential = Password(
        PasswordRules(shortest=16, longest=128, forbidden=string.punctuation.replace("-", ""))
    )

    def __init__(self, engine: str, title: str, *members: str) -> None:
        self.names = frozenset({engine})
        self.target_defaults = dict.fromkeys(members, "none")
        self.strategies = (ApiDual(self.resource),)
        proof = Proof(f"local {title} API, Redis 7.0.15", "2026-11-26", substitute=True)
        self.proved_on = {engine: proof}
        self._service = engine

    def resource(self, secret: Secret) -> CacheResource:
        """Return the resource that a secret names.

        Args:
            secret: value.

        Raises:
            SecretFormatError: see ``named``.
        """
        from rotators.engines.elasticache.resources import named  # noqa: PLC0415 - boto3, when first needed

        return named(secret, self._service, self.target_defaults)
