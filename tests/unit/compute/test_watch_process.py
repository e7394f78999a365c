import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from nova_cachemig.compute import watch_process

SETTINGS = {
    "host": "host-a",
    "uri": "test:///default",
    "topic": "topic",
    "transport_url": "fake://",
}


def spawn(*more_path: str) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-P", "-m", "nova_cachemig.compute.watch_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*more_path, root])},
    )


class Process(unittest.TestCase):
    def test_it_listens_and_ends_with_its_standard_input(self) -> None:
        with spawn() as process:
            self.addCleanup(process.kill)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(SETTINGS).encode() + b"\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            self.assertEqual(logging.INFO, said["level"])
            self.assertEqual("nova_cachemig.compute.libvirt_watch", said["logger"])
            self.assertEqual("cachemig: listening to libvirt at test:///default", said["message"])
            process.stdin.close()
            self.assertEqual(0, process.wait(10))

    def test_it_says_whether_guests_are_announced(self) -> None:
        said = self._says(SETTINGS | {"announce_topic": "announce"}, "announced early")
        self.assertEqual("nova_cachemig.compute.announce.service", said["logger"])

    def _says(self, settings: dict[str, str], text: str) -> Any:
        with spawn() as process:
            self.addCleanup(process.kill)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            process.stdin.flush()
            lines = map(json.loads, process.stdout)
            found = next(line for line in lines if text in line["message"])
            process.stdin.close()
            self.assertEqual(0, process.wait(10))
        return found

    def test_without_libvirt_it_says_so_and_is_over(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "libvirt.py").write_text("raise ImportError('not here')\n")
            with spawn(directory) as process:
                self.addCleanup(process.kill)
                output, _ = process.communicate(json.dumps(SETTINGS).encode() + b"\n", 30)
        self.assertEqual(watch_process.NO_LIBVIRT, process.returncode)
        self.assertIn("guests are not watched: not here", json.loads(output)["message"])
