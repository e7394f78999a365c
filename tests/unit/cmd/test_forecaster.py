import unittest
from unittest import mock

from nova_cachemig.cmd import forecaster


class MainTest(unittest.TestCase):
    def test_the_arguments_and_the_status_are_those_of_the_service(self) -> None:
        with (
            mock.patch("sys.argv", ["nova-cachemig-forecaster", "--config-file", "x"]),
            mock.patch.object(forecaster.service, "run", return_value=2) as run,
        ):
            self.assertEqual(2, forecaster.main())
        run.assert_called_once_with(["--config-file", "x"])
