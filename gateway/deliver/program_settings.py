"""Delivery programs that rules and accounts may name (configuration section `programs`)."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds, Size


class ProgramSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program. It gets the message on standard input and qmail's variables; its exit code is the outcome."""

    #: absolute path of the program, then its arguments; no shell reads them
    argv: tuple[str, ...]
    #: seconds until it is killed with everything it started
    timeout: Seconds = 60.0
    #: octets of memory for each of its processes
    memory: Size = 512 * 1024 * 1024
    #: octets of what it prints that are kept, for the log and for a refusal; the rest is dropped
    output: Size = 16 * 1024
    #: octets of the largest file it may write
    file_size: Size = 64 * 1024 * 1024
    #: how many run at once on this host
    concurrency: Count = 10
