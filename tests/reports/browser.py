"""Browsers that lay pages out, run their scripts and print them."""

import base64
import json
import os
import shutil
import socket
import subprocess
import unicodedata
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.waiting import PATIENCE_S, until

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium here")
needs_printing = pytest.mark.skipif(
    BROWSER is None or shutil.which("pdftotext") is None, reason="no chromium or pdftotext here"
)
needs_firefox = pytest.mark.skipif(
    FIREFOX is None or shutil.which("pdftotext") is None, reason="no firefox or pdftotext here"
)


def dom(page: Path, *options: str) -> str:
    """What became of a page once its scripts ran; or, with other options than --dump-dom, what is said of it."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={page.parent / 'profile'}", *(options or ("--dump-dom",)), page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def sheets(page: Path) -> list[str]:
    """The text of each sheet of a page that Chromium prints."""
    pdf = page.with_suffix(".pdf")
    dom(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    return _texts(pdf)


def firefox_sheets(page: Path) -> list[str]:
    """The text of each A4 sheet of a page that Firefox prints."""
    profile, pdf = page.parent / "firefox", page.with_suffix(".firefox.pdf")
    profile.mkdir()
    (profile / "user.js").write_text('user_pref("marionette.port", 0);\n')
    command = [str(FIREFOX), "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"HOME": str(profile)}}
    with subprocess.Popen(command, **quiet) as browser:
        try:
            port = profile / "MarionetteActivePort"
            until(lambda: port.is_file() and port.read_text().strip())
            with socket.create_connection(("127.0.0.1", int(port.read_text())), timeout=PATIENCE_S) as talk:
                _told(answers := talk.makefile("rb"))
                _asked(talk, answers, "WebDriver:NewSession")
                _asked(talk, answers, "WebDriver:Navigate", url=page.as_uri())
                a4_cm = {"width": 21, "height": 29.7}
                printed = _asked(talk, answers, "WebDriver:Print", background=True, page=a4_cm)["value"]
        finally:
            browser.terminate()
    pdf.write_bytes(base64.b64decode(printed))
    return _texts(pdf)


def _asked(talk: socket.socket, answers: BinaryIO, name: str, **values: object) -> dict[str, Any]:
    """The answer to a command of Firefox's own remote control, Marionette: each message is its length, ":", JSON."""
    message = json.dumps([0, 1, name, values]).encode()
    talk.sendall(b"%d:%s" % (len(message), message))
    _, _, error, answer = _told(answers)
    assert error is None, error
    return answer


def _told(answers: BinaryIO) -> Any:
    length = b"".join(iter(lambda: answers.read(1), b":"))
    return json.loads(answers.read(int(length)))


def right_edges(page: Path) -> list[str]:
    """What stands along the right edge of each sheet that `firefox_sheets` printed, read alone, without blanks."""
    strip = ("-x", "545", "-y", "0", "-W", "50", "-H", "842")  # points of an A4 sheet
    found = _texts(page.with_suffix(".firefox.pdf"), *strip)
    return ["".join(unicodedata.normalize("NFKC", text).split()) for text in found]


def _texts(pdf: Path, *options: str) -> list[str]:
    text = subprocess.run(["pdftotext", "-layout", *options, pdf, "-"], capture_output=True, check=True).stdout
    return text.decode().split("\f")[:-1]
