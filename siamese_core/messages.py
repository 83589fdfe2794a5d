"""Messages as anybody may read them: no credentials, and no sign that a terminal or a log would obey."""

from __future__ import annotations

import re

_HIDDEN = r"\1***"
_SCHEME = r"\b[a-z][a-z0-9+.-]{0,30}://"
_USER = r"[^\s/?#\"@:]"
# Before the @ of a URI: user and password; a token for a user; a password with a slash, which a port is not.
_INFO = (
    rf"(?:{_USER}{{0,500}}:[^\s/?#\"]{{0,500}}|{_USER}{{16,500}}|{_USER}{{0,500}}:(?!\d{{1,5}}[/?#])[^\s\"@]{{0,500}})"
)
_SECRET = r"(?:token|secret|passw|pwd|credential|signature|api[_-]?key|(?:access|account|private)[_-]?key)"
_NAME = rf"(?<![\w.-])[\w.-]{{0,40}}?{_SECRET}[\w.-]{{0,40}}"
_CREDENTIALS = (
    re.compile(rf"(?i)({_SCHEME}){_INFO}(?=@)"),
    # In queries, connection strings and environments; in JSON and Python.
    re.compile(rf"(?i)({_NAME}=|[?&;](?:key|sig|auth|code)=)(?:\"[^\"]*\"|'[^']*'|[^\s&;'\"]+)"),
    re.compile(rf"(?i)((['\"]){_NAME}\2\s?[:=]\s?)(?:\"[^\"]*\"|'[^']*'|[^\s,}}'\"]+)"),
    re.compile(r"(?i)(\bauthorization['\"]?\s?[:=]\s?['\"]?(?:(?:basic|bearer)\s)?|\bbearer\s)[\w.~+/=-]{8,}"),
)

# What moves a terminal's cursor, changes its colours or the direction of its text, or ends a line.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in _CONTROLS}
_ESCAPES_IN_LINES = {code: text for code, text in _ESCAPES.items() if chr(code) not in "\n\t"}
_UNINDENTED = re.compile(r"\n(?!  )")


def presentable(text: str) -> str:
    r"""Mask credentials, and write control characters as `\x1b`.

    A line break stays where the next line is indented, as in our own lists; otherwise the name of a file could begin a
    line that looks like another message.
    """
    return _UNINDENTED.sub(r"\\n", presentable_lines(text))


def presentable_lines(text: str) -> str:
    """The same for text of many lines, such as a traceback: all line breaks stay."""
    return escape_lines(mask_credentials(text))


def mask_credentials(text: str) -> str:
    """Hide users and passwords of URIs, and the values of tokens, secrets and keys."""
    for pattern in _CREDENTIALS:
        text = pattern.sub(_HIDDEN, text)
    return text


def holds_credential(name: str, value: object) -> bool:
    """Tell whether a variable is a credential, by its name, or its value holds one."""
    text = f"{name}={value}"
    return mask_credentials(text) != text


def escape_lines(text: str) -> str:
    """Write control characters out, but for line breaks and tabs."""
    return text.translate(_ESCAPES_IN_LINES)


def escape_controls(text: str) -> str:
    r"""Write every control character, line breaks too, as `\x1b`."""
    return text.translate(_ESCAPES)
