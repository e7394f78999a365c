"""The fate of a write that a crash has left."""

import unittest

from nova_cachemig.replay.recovery import Fate, fate


class FateTest(unittest.TestCase):
    def decide(self, **facts):
        usual = {"resendable": False, "sent": False, "responded": False, "complete": True,
                 "position": 5, "send_limit": 9}  # fmt: skip
        return fate(**(usual | facts))

    def test_a_logged_response_is_the_outcome(self):
        self.assertIs(Fate.RESPONDED, self.decide(sent=True, responded=True))

    def test_what_was_not_sent_waits(self):
        self.assertIs(Fate.WAITING, self.decide())

    def test_without_a_complete_log_the_send_limit_decides(self):
        self.assertIs(Fate.IN_DOUBT, self.decide(complete=False))
        self.assertIs(Fate.WAITING, self.decide(complete=False, position=10))

    def test_what_may_be_sent_twice_is_sent_again(self):
        self.assertIs(Fate.RESENT, self.decide(sent=True, resendable=True))
        self.assertIs(Fate.IN_DOUBT, self.decide(sent=True))
