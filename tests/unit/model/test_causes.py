from __future__ import annotations

import unittest

from nova_cachemig.model.causes import cause_of

POOL = "HTTPSConnectionPool(host='nova', port=8774): Max retries exceeded with url: / (Caused by "


class CauseTest(unittest.TestCase):
    def test_the_text_of_urllib3_is_shortened_to_its_cause(self) -> None:
        for caused_by, cause in (
            ('NewConnectionError("HTTPConnection(host=\'nova\', port=8774): Failed to establish a '
             'new connection: [Errno 111] Connection refused"))', ": Connection refused"),
            ("NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to "
             "establish a new connection: [Errno 113] No route to host'))", ": No route to host"),
            ("NameResolutionError(\"HTTPConnection(host='nova', port=8774): Failed to resolve "
             '\'nova\' ([Errno -2] Name or service not known)"))', ": Name or service not known"),
            ("ConnectTimeoutError(<HTTPConnection object at 0x7f>, 'Connection to nova timed out. "
             "(connect timeout=10)'))", ": timed out"),
            ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate "
             "verify failed: self-signed certificate (_ssl.c:992)')))",
             ": certificate verify failed: self-signed certificate"),
            ("ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed "
             "connection without response')))", ": closed connection"),
            ("SomethingElse())", ""),
        ):  # fmt: skip
            with self.subTest(cause or "no known cause"):
                self.assertEqual(f"nova:8774{cause}", cause_of(OSError(POOL + caused_by)))
                head = "Unable to establish connection to http://nova"
                error = OSError(f"{head}: {POOL}{caused_by}")
                self.assertEqual(head + cause, cause_of(error))

    def test_other_texts_stay_in_one_line(self) -> None:
        self.assertEqual("Unauthorized: no role", cause_of(OSError("Unauthorized:\n  no role")))
