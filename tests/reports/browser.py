"""A browser that lays pages out, runs their scripts and prints them."""

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium here")
needs_printing = pytest.mark.skipif(
    BROWSER is None or shutil.which("pdftotext") is None, reason="no chromium or pdftotext here"
)


def dom(page: Path, *options: str) -> str:
    """What became of a page once its scripts ran; or, with other options than --dump-dom, what is said of it."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={page.parent / 'profile'}", *(options or ("--dump-dom",)), page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def sheets(page: Path) -> list[str]:
    """The text of each sheet of a page that is printed."""
    pdf = page.with_suffix(".pdf")
    dom(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True).stdout
    return text.decode().split("\f")[:-1]
