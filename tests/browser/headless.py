"""A headless Chromium, spoken to over its DevTools protocol: open a page, ask it, photograph it.

It runs with a profile folder of its own, without network, and ends with the `with` block.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START_S = 60.0
"""Longest wait for the browser to listen; a busy machine needs its time."""


def find_browser() -> str | None:
    """The command of a browser of this family; None where there is none."""
    given = os.environ.get("ATLAS_BROWSER")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


class Headless:
    """One browser with one tab.

    Attributes:
        complaints: what the page wrote to the console as a warning or error, or threw.
        requests: addresses it asked for, files and data addresses left out.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def __aenter__(self) -> Headless:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="atlas-browser-", ignore_cleanup_errors=True)
        )
        process = await asyncio.create_subprocess_exec(
            self._command, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._stack.push_async_callback(self._end, process)
        port = await asyncio.wait_for(self._port(Path(folder), process), START_S)
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        async with session.get(f"http://127.0.0.1:{port}/json") as reply:
            tab = next(one for one in await reply.json() if one["type"] == "page")
        self._socket = await self._stack.enter_async_context(
            session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)
        )
        reader = asyncio.create_task(self._read())
        self._stack.callback(reader.cancel)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Network.emulateNetworkConditions", offline=True, latency=0,
            downloadThroughput=0, uploadThroughput=0,
        )  # fmt: skip

    async def _port(self, folder: Path, process: asyncio.subprocess.Process) -> int:
        file = folder / "DevToolsActivePort"
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"{self._command} ended with {process.returncode} at its start")
            if file.exists() and "\n" in (text := file.read_text()):
                return int(text.splitlines()[0])
            await asyncio.sleep(0.05)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                future = self._answers.pop(told["id"])
                if "error" in told:
                    future.set_exception(RuntimeError(str(told["error"])))
                else:
                    future.set_result(told["result"])
            else:
                self._note(told["method"], told["params"])

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded.set()
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("text")))
        elif event == "Runtime.consoleAPICalled" and told["type"] in {"error", "warning"}:
            self.complaints.append(str(told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            address = told["request"]["url"]
            if not address.startswith(("file:", "data:", "about:")):
                self.requests.append(address)

    async def call(self, method: str, **parameters: Any) -> Any:
        """Ask the browser for something and wait for its answer."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        answer = self._answers[number]
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, 60)

    async def open(self, page: Path, *, width: int = 1280, height: int = 900) -> None:
        """Open a file of this absolute path in a window of this size; wait until it is loaded."""
        await self.size(width, height)
        self._loaded.clear()
        await self.call("Page.navigate", url=page.as_uri())
        await asyncio.wait_for(self._loaded.wait(), 60)

    async def size(self, width: int, height: int = 900) -> None:
        """Make the window this large, in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    async def theme(self, name: str) -> None:
        """Prefer `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": name}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def ask(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    async def press(self, key: str) -> None:
        """Press and release a key, such as Tab or Enter."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=codes[key], **(text if kind == "keyDown" else {}),
            )  # fmt: skip

    async def photograph(self, clip: tuple[float, float, float, float] | None = None) -> bytes:
        """A PNG of the window, or of a rectangle (left, top, width, height) of the page."""
        more: dict[str, Any] = {}
        if clip is not None:
            names = ("x", "y", "width", "height")
            more = {"clip": dict(zip(names, clip, strict=True)) | {"scale": 1}}
        told = await self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=clip is not None, **more
        )
        return base64.b64decode(told["data"])
