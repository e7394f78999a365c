"""Opens a read-only connection to a libvirt that may ask for a user name and password (SASL).

libvirt's client reads both from its authentication file: the one that ``LIBVIRT_AUTH_FILE`` or
``authfile`` in the URI names, else ``~/.config/libvirt/auth.conf``, else
``/etc/libvirt/auth.conf``. nova-compute's own connection uses the same file. The client does so
only if the program names the kinds of credentials that it supports, which ``openReadOnly`` cannot.
"""

from __future__ import annotations

from typing import Any, Final

_CREDENTIALS: Final = (
    "VIR_CRED_AUTHNAME",
    "VIR_CRED_PASSPHRASE",
    "VIR_CRED_REALM",
    "VIR_CRED_ECHOPROMPT",
    "VIR_CRED_NOECHOPROMPT",
    "VIR_CRED_EXTERNAL",
)
_REFUSED: Final = ("VIR_ERR_AUTH_FAILED", "VIR_ERR_AUTH_CANCELLED", "VIR_ERR_AUTH_UNAVAILABLE")

_CHECK_CREDENTIALS: Final = (
    "libvirt refuses the credentials, or there are none: nova-compute's user must be able to read "
    "libvirt's user name and password in ~/.config/libvirt/auth.conf or /etc/libvirt/auth.conf, "
    "and the SASL mechanism must be installed on this host"
)
_CHECK_URI: Final = "check [libvirt] connection_uri, and that libvirt's daemon runs"


def open_read_only(libvirt: Any, uri: str) -> Any:
    """Open a read-only connection; raises ``libvirtError``. ``libvirt`` is the module."""
    kinds = [getattr(libvirt, name) for name in _CREDENTIALS]
    return libvirt.openAuth(uri, [kinds, _supply, None], libvirt.VIR_CONNECT_RO)


def refused(libvirt: Any, error: Any) -> bool:
    """Whether a connection failed because libvirt refuses the credentials, or lacks them."""
    return error.get_error_code() in {getattr(libvirt, name) for name in _REFUSED}


def remedy(libvirt: Any, error: Any) -> str:
    """The remedy for a connection that failed, for an operator: one clause."""
    return _CHECK_CREDENTIALS if refused(libvirt, error) else _CHECK_URI


def _supply(missing: list[Any], opaque: Any) -> int:
    """Return 0 if the authentication file has all credentials, else -1: the connection fails.

    ``missing``: those that the file lacks. An exception here would be printed to stderr.
    """
    return -1 if missing else 0
