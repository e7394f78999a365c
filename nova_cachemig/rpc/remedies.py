"""The remedy for each error of the message bus, for an operator."""

from __future__ import annotations

from typing import Final

_REMEDIES: Final = (
    (
        "PRECONDITION_FAILED",
        "this exchange or queue exists with other flags: run the same version of nova-cachemig on "
        "every node, or delete it in RabbitMQ if another program declared it",
    ),
    (
        "ACCESS_REFUSED",
        "RabbitMQ refuses the user of transport_url: check the password, and grant it configure, "
        "write and read on ^nova-cachemig.*$ and write on amq.default",
    ),
    (
        "NOT_ALLOWED",
        "RabbitMQ refuses the virtual host of transport_url: create it, or grant its user access",
    ),
)
NO_BUS: Final = (
    "check transport_url, that RabbitMQ runs, and that no firewall stands between this host and it"
)


def remedy(error: object) -> str:
    """The remedy for an error of the bus, for an operator: one clause."""
    text = str(error)
    return next((advice for code, advice in _REMEDIES if code in text), NO_BUS)
