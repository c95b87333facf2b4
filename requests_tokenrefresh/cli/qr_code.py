"""An address as a QR code, for a device with a camera."""

from __future__ import annotations

import io
import shutil
from typing import TextIO

import segno

_BORDER = 2  # modules


def qr_code(address: str, out: TextIO) -> str:
    """Return *address* as a QR code to be printed to *out*, or why there is none.

    Its light modules are drawn, so it is right on a dark terminal; most cameras take it on a light
    one too. There is no colour in it.
    """
    if not out.isatty() or (out.encoding or "").lower().replace("-", "") != "utf8":
        return "(There is no QR code: this is not a terminal with UTF-8.)"
    code = segno.make(address, error="l", micro=False)
    columns, _ = code.symbol_size(border=_BORDER)
    if columns > shutil.get_terminal_size().columns:
        return f"(There is no QR code: it takes {columns} columns.)"
    drawn = io.StringIO()
    code.terminal(drawn, compact=True, border=_BORDER)
    return drawn.getvalue().rstrip("\n")
