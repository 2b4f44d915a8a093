"""A TCP proxy on loopback that misbehaves on demand: between our processes and their broker or database."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Listens at `port` and passes to `target_port`. Faults hold for connections that are open, and for new ones.

    `hang()`: accepts, and passes nothing. `refuse()`: nobody listens, and what was open is reset. `delay`:
    seconds every answer takes longer. `drip`: seconds between any two bytes of an answer. `heal()` ends all of
    them; connections that hung are reset. `connections` and `answered` (bytes) count since the beginning; `heard`
    is what clients have said since `listen()`.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.target_port = target_port
        self.delay = 0.0
        self.drip = 0.0
        self.connections = 0
        self.answered = 0
        self.heard: bytearray | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, port))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def hang(self) -> None:
        self._flowing.clear()

    def refuse(self) -> None:
        self._stop_listening()
        self.reset()

    def listen(self) -> None:
        self.heard = bytearray()

    def heal(self) -> None:
        self.delay = self.drip = 0.0
        hung = not self._flowing.is_set()
        self._flowing.set()
        if hung:
            self.reset()
        if self._listener.fileno() == -1:
            self._listener = socket.create_server((LOOPBACK, self.port))
            self._start(self._accept, self._listener)

    def reset(self) -> None:
        """Cut every open connection, as a firewall that forgot it would."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                # Wakes the thread that reads from it, which close() alone would not.
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._flowing.set()
        self._stop_listening()
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        threading.Thread(target=target, args=args, name="proxy", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                ours = listener.accept()[0]
                self._start(self._connect, ours)

    def _connect(self, ours: socket.socket) -> None:
        with self._lock:
            self._sockets.add(ours)
            self.connections += 1
        self._flowing.wait()
        try:
            theirs = socket.create_connection((LOOPBACK, self.target_port))
        except OSError:
            ours.close()
            return
        with self._lock:
            self._sockets.add(theirs)
        self._start(self._pass, ours, theirs, False)
        self._start(self._pass, theirs, ours, True)

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not answers and self.heard is not None:
                    self.heard += data
                self._flowing.wait()
                if answers:
                    self._answer(target, data)
                else:
                    target.sendall(data)
        for one in (source, target):
            with self._lock:
                self._sockets.discard(one)
            one.close()

    def _answer(self, target: socket.socket, data: bytes) -> None:
        if self.delay:
            time.sleep(self.delay)
        while self.drip and len(data) > 1:
            target.sendall(data[:1])
            self.answered += 1
            data = data[1:]
            time.sleep(self.drip)
        target.sendall(data)
        self.answered += len(data)
