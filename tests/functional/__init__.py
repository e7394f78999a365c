"""Tests with real services on the loopback interface."""

from tests.functional import other_engines

other_engines.use()
