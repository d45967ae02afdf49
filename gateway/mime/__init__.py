"""MIME over stored octets: one pass to ENVELOPE, BODYSTRUCTURE and part offsets; sections; text for search."""

from gateway.mime.encoded import decode_header_text
from gateway.mime.parsed import PARSER_VERSION, Parsed, Part
from gateway.mime.scanner import envelope, scan
from gateway.mime.section import field_values, find_part, section, selected_fields
from gateway.mime.text import decoded_text

__all__ = [
    "PARSER_VERSION",
    "Parsed",
    "Part",
    "decode_header_text",
    "decoded_text",
    "envelope",
    "field_values",
    "find_part",
    "scan",
    "section",
    "selected_fields",
]
