"""Active Directory in applications, which use the driver of OpenLDAP."""

from __future__ import annotations

from dataclasses import replace

from rotators.engines.activedirectory import ActiveDirectoryEngine
from rotators.engines.ldap import driver

CLIENT_SIDE = replace(
    driver.CLIENT_SIDE, engines=dict.fromkeys(ActiveDirectoryEngine.names, "ldap"), drivers=()
)
