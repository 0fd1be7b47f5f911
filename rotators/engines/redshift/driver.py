"""Drivers of Amazon Redshift in applications. The drivers of PostgreSQL work too."""

from __future__ import annotations

from rotators.engines.postgres.messages import MESSAGES
from rotators.engines.redshift import RedshiftEngine
from rotators.logins.driver import ClientSide, common_kind, judge_of

CLIENT_SIDE = ClientSide(
    engines=dict.fromkeys(RedshiftEngine.names, "redshift"),
    port=RedshiftEngine.default_port,
    target_defaults=RedshiftEngine.target_defaults,
    words=("redshift",),
    messages=MESSAGES,
    drivers=(common_kind("redshift_connector", judge_of(MESSAGES), "redshift"),),
)
