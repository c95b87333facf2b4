"""Random commands to a `TokenSource`: whatever the order, it does what its model does."""

from __future__ import annotations

from tests.model.machine import LoginMachine, ProcessesMachine
from tests.support.length import few

TestOneProcess = LoginMachine.TestCase
TestOneProcess.settings = few(8, "model", stateful_step_count=40)

TestTwoProcesses = ProcessesMachine.TestCase
TestTwoProcesses.settings = few(5, "model", stateful_step_count=40)
