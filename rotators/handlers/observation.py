"""The facts of one invocation of a function for its log line, its metrics and its audit records."""

from __future__ import annotations

from dataclasses import dataclass, field

from rotators.core.audit import Facts


@dataclass
class Observation:
    """The log keys of the running invocation, and the facts of its audit records.

    Attributes:
        function: the function's name: ``rotate``, ``store``, ``retrieve`` …
        keys: the log keys so far.
        context: Lambda's context, for the ids of the invocation.
        records: the facts about each secret; empty for one record with what the log keys say.
    """

    function: str
    keys: dict[str, str | int] = field(default_factory=dict)
    context: object = None
    records: list[Facts] = field(default_factory=list)

    def add(self, **keys: str | int) -> None:
        """Add log keys (``secret_id``, ``token``, ``step``, ``strategy``, ``outcome`` …).

        ``rotator`` and ``step`` become dimensions of the metrics too. Never pass a value of a secret.

        Args:
            keys: names that are no attributes of a ``logging.LogRecord`` (so not ``name``, ``args``).
        """
        self.keys |= keys
