"""Start the parts in order, watch them, stop them in order.

One process, one thread: a loop that reads the parts' output, the signals and the
deaths of children. Every part runs in a session of its own with every descriptor
redirected, so a key on the terminal reaches only the supervisor. Children get a
signal from the kernel when the supervisor dies (Linux); the guardian ends what that
does not reach.
"""

import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from policyhub import terminal
from policyhub.embedded import home
from policyhub.guardian import Guardian
from policyhub.terminal import Log

READY_SECONDS = 120.0  # ample on a busy machine; a death is noticed at once
PR_SET_PDEATHSIG = 1
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PartFailed(Exception):
    """A part ended or never became ready; the text says which and why."""


class StopRequested(Exception):
    """Somebody asked us to stop."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process to run. `stage` orders the stopping: the highest stops first."""

    name: str
    argv: list[str]
    ready: Callable[[], bool] | None = None
    stop: signal.Signals = signal.SIGTERM
    stage: int = 3
    user: str = ""
    patience: float = 3.0  # seconds from `stop` to SIGKILL
    plain: bool = False  # show its lines without a prefix
    nice: int = 0
    ends: bool = False  # it ends by itself, and that is no failure


@dataclass(slots=True)
class Running:
    """A part that has been started."""

    part: Part
    process: subprocess.Popen[bytes]
    log: Log
    rest: bytes = b""


@dataclass
class Supervisor:
    """Runs parts. Use from the main thread only."""

    logs: Path
    environment: Mapping[str, str]
    guardian: Guardian
    running: list[Running] = field(default_factory=list)
    stopping: bool = False

    def __post_init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        self._wake.setblocking(False)
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        for number in STOPS:
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._asked = False

    def _ask_to_stop(self, *_: object) -> None:
        self._asked = True

    # --- starting -------------------------------------------------------------

    def start(self, part: Part) -> Running:
        """Start a part; does not wait for it."""
        ours = os.getpid()

        def in_child() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(part.stop))
                if os.getppid() != ours:
                    os._exit(1)
            if part.nice:
                os.nice(part.nice)

        process = subprocess.Popen(  # type: ignore[call-overload]
            part.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/" if part.user else None,
            env=dict(self.environment),
            start_new_session=True,
            preexec_fn=in_child,  # one thread: safe
            **home.identity(part.user),
        )
        self.guardian.watch(process.pid, part.stop)
        running = Running(part, process, Log(self.logs, part.name))
        self.running.append(running)
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, running)
        return running

    def wait_ready(self, running: Running) -> None:
        """Wait until the part is ready. Raises `PartFailed` or `StopRequested`."""
        part = running.part
        deadline = time.monotonic() + READY_SECONDS
        while part.ready is not None and not part.ready():
            self._turn(0.03)
            self._check()
            if time.monotonic() > deadline:
                seconds = int(READY_SECONDS)
                raise PartFailed(f"{part.name} was not ready after {seconds} seconds")

    def run(self, part: Part) -> None:
        """Run a part that ends by itself. Raises `PartFailed` or `StopRequested`."""
        running = self.start(part)
        while running in self.running:
            self._turn(0.2)
            self._reap(running)
            self._check()
        if running.process.returncode:
            raise PartFailed(self._epitaph(running))

    # --- watching -------------------------------------------------------------

    def watch(self) -> None:
        """Watch all parts until one dies (`PartFailed`) or we are asked to stop."""
        while True:
            self._turn(5)
            self._check()
            for running in [r for r in self.running if r.part.ends]:
                self._reap(running)
                if running.process.returncode:
                    terminal.say(self._epitaph(running))

    def _check(self) -> None:
        if self._asked:
            raise StopRequested
        for running in self.running:
            if not running.part.ends and running.process.poll() is not None:
                self._reap(running)
                raise PartFailed(self._epitaph(running))

    def _epitaph(self, running: Running) -> str:
        code = running.process.returncode
        how = (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else (f"ended with status {code}")
        )
        text = f"{running.part.name} {how}; its last words:"
        return f"{text}\n{running.log.last_lines()}"

    def _turn(self, seconds: float) -> None:
        """Wait for output or a signal, and pass the output on."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._wake.recv(4096)
            else:
                self._read(key.data)

    def _read(self, running: Running) -> bool:
        """Pass on what there is of a part's output. Returns whether there was any."""
        output = running.process.stdout
        if output is None or output.closed:
            return False
        try:
            data = os.read(output.fileno(), 65536)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(output)
            output.close()
        *lines, running.rest = (running.rest + data).split(b"\n")
        if len(running.rest) > 65536 or (not data and running.rest):
            lines.append(running.rest)
            running.rest = b""
        for line in lines:
            running.log.write(line + b"\n")
            if running.part.plain:
                terminal.emit(line + b"\n")
            else:
                terminal.show(running.part.name, line + b"\n")
        return bool(data)

    def _reap(self, running: Running) -> None:
        """Take a part that has ended off the list, with its last output."""
        if running.process.poll() is None:
            return
        while self._read(running):
            pass
        output = running.process.stdout
        if output is not None and not output.closed:
            self._selector.unregister(output)
            output.close()
        self._kill(running)
        self.guardian.forget(running.process.pid)
        if running in self.running:
            self.running.remove(running)

    # --- stopping -------------------------------------------------------------

    def stop(self) -> None:
        """Stop all parts, the highest stage first, each within its patience."""
        self.stopping = True
        for stage in sorted({r.part.stage for r in self.running}, reverse=True):
            group = [r for r in self.running if r.part.stage == stage]
            for running in reversed(group):
                running.process.send_signal(running.part.stop)
            started = time.monotonic()
            while any(r.process.poll() is None for r in group):
                self._turn(0.02)
                for running in group:
                    if time.monotonic() > started + running.part.patience:
                        self._kill(running)
            for running in group:
                self._reap(running)
        self.guardian.close()

    @staticmethod
    def _kill(running: Running) -> None:
        """Kill what is left of a part's process group."""
        try:
            os.killpg(running.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
