"""What the manager tells of its own life, and of the zygote's."""

from __future__ import annotations

import os
import subprocess

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.manager.vitals import Vitals, cpu_s_of


class VitalsTests(SynchronousTestCase):
    """A pulse with a clock and a processor that the test controls."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.late = self.cpu_s = 0.0
        self.vitals = Vitals(self.clock, lambda: self.clock.seconds() + self.late, lambda: self.cpu_s)

    def test_pulse(self) -> None:
        """From its start on it feels once a second how late it is, until it is stopped."""
        self.vitals.start()
        self.assertEqual(self.vitals.counts()["lag_s"], 0)
        self.late, self.cpu_s = 0.25, 0.5
        self.clock.advance(1)
        self.assertEqual(self.vitals.counts(), {"uptime_s": 1.25, "lag_s": 0.25, "cpu_s": 0.5, "cpu_share": 0.4})
        self.vitals.stop()
        self.vitals.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_zygotes(self) -> None:
        """What one had taken stays when it is gone."""
        self.assertEqual(self.vitals.cpu_s_of_zygote(0), 0)
        taken = self.vitals.cpu_s_of_zygote(os.getpid())
        self.assertGreater(taken, 0)
        with subprocess.Popen(["true"]) as other:
            other.wait()
            self.assertIsNone(cpu_s_of(other.pid))
            self.assertEqual(self.vitals.cpu_s_of_zygote(other.pid), taken)
