"""What a login and its table may be called, so that every database tells them apart."""

from __future__ import annotations

LONGEST_NAME = 255  # characters, of a login
_LONGEST_IDENTIFIER = 63  # characters, of a table; PostgreSQL cuts the rest off


def checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f'name is a str, such as "reports", got {type(name).__name__}')
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"name has from 1 to {LONGEST_NAME} characters, got {len(name)}")
    # To MySQL, names that differ in spaces at the end are the same; PostgreSQL stores no NUL.
    if name != name.strip() or "\0" in name or not _is_text(name):
        raise ValueError(
            f"name {name!r} has spaces around it, a NUL, or half a character; "
            'pass a name such as "reports"'
        )
    return name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_table(table: str) -> tuple[str | None, str]:
    """Return the schema, if *table* names one, and the name."""
    if not isinstance(table, str):
        raise TypeError(f'table is a str, such as "token_logins", got {type(table).__name__}')
    *schemas, name = parts = table.split(".")
    if len(parts) > 2 or not all(
        0 < len(part) <= _LONGEST_IDENTIFIER and part.isprintable() for part in parts
    ):
        raise ValueError(
            f"table {table!r} does not name a table: pass a name, or schema.name, each of at most "
            f"{_LONGEST_IDENTIFIER} characters"
        )
    return (schemas[0] if schemas else None), name
