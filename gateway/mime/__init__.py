"""MIME over stored octets: one pass to ENVELOPE, BODYSTRUCTURE and part offsets; sections; text for search."""

from gateway.mime.encoded import decode_header_text
from gateway.mime.parsed import PARSER_VERSION, Parsed, Part
from gateway.mime.scanner import envelope, header_end, scan
from gateway.mime.section import (
    Section,
    What,
    field_values,
    find_part,
    has_blank_line,
    locate,
    section_octets,
    selected_fields,
)
from gateway.mime.text import decoded_text

__all__ = [
    "PARSER_VERSION",
    "Parsed",
    "Part",
    "Section",
    "What",
    "decode_header_text",
    "decoded_text",
    "envelope",
    "field_values",
    "find_part",
    "has_blank_line",
    "header_end",
    "locate",
    "scan",
    "section_octets",
    "selected_fields",
]
