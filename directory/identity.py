"""The immutable id of an entry: `<source>:<lower-case RFC 4122 text>`, from whatever the server keeps."""

from __future__ import annotations

import uuid


def entry_id(source: str, attribute: str, value: bytes) -> str:
    """From entryUUID or ipaUniqueID (text), objectGUID (16 octets, mixed-endian) or nsUniqueId (four groups of 8).

    Raises ValueError when the value is no such id.
    """
    name = attribute.lower()
    if name == "objectguid" and len(value) == 16:
        return f"{source}:{uuid.UUID(bytes_le=value)}"
    return f"{source}:{uuid.UUID(value.decode('ascii').replace('-', ''))}"
