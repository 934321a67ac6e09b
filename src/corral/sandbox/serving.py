"""An HTTP server that listens inside a namespace, and can be stopped and started again."""

from __future__ import annotations

import socket

from aiohttp import web

from corral.sandbox.namespace import Namespace


class Server:
    """Base of the embedded services: `build_application` is called at every start."""

    def __init__(self, namespace: Namespace, address: str, port: int) -> None:
        self._namespace = namespace
        self._address = address
        self._port = port
        self._runner: web.AppRunner | None = None

    def build_application(self) -> web.Application:
        """The routes of the server."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen; nothing happens when it listens already."""
        if self._runner is not None:
            return
        listener = self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._address, self._port))
        # Stopping is meant to be felt: pending requests, long polls above all, are cut off.
        self._runner = web.AppRunner(
            self.build_application(), access_log=None, shutdown_timeout=0.01, handler_cancellation=True
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Close the listener and every connection."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
