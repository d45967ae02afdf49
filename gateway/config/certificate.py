"""Can the certificate and its key be used, and do clients accept them for this host?"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from gateway.config.settings import Settings

RENEW_DAYS = 14
Found = Iterator[tuple[tuple[str, ...], str]]


def certificate_problems(settings: Settings) -> Found:
    """What prevents TLS: files that cannot be read, are no PEM or do not belong together."""
    cert, key = settings.tls.cert, settings.tls.key
    if not cert or not key:
        return
    readable = True
    for name, path in (("cert", cert), ("key", key)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            yield ("tls", name), f"{path} cannot be read: {error.strerror}"
            readable = False
    if not readable:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield ("tls", "key"), f"{key} is not the key of {cert}"
        else:
            try:
                x509.load_pem_x509_certificates(Path(cert).read_bytes())
            except ValueError:
                yield ("tls", "cert"), f"{cert} is not a PEM certificate"
            else:
                yield ("tls", "key"), f"{key} is not a PEM private key without a passphrase"


def certificate_warnings(settings: Settings, now: dt.datetime) -> Found:
    """What clients will complain about: dates and names. Only for files without problems."""
    path = settings.tls.cert
    certificate = x509.load_pem_x509_certificates(Path(path).read_bytes())[0]
    left = (certificate.not_valid_after_utc - now).total_seconds() / 86400
    if left < 0:
        yield ("tls", "cert"), f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    elif left < RENEW_DAYS:
        yield ("tls", "cert"), f"{path} expires in {left:.0f} days"
    if certificate.not_valid_before_utc > now:
        yield ("tls", "cert"), f"{path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        hosts = []
    own = settings.hostname.lower()
    if own not in hosts and f"*.{own.partition('.')[2]}" not in hosts:
        yield ("tls", "cert"), f"{path} is for {', '.join(hosts) or 'no host'}, hostname is {settings.hostname}"
    if Path(settings.tls.key).stat().st_mode & 0o004:
        yield ("tls", "key"), f"{settings.tls.key} can be read by everybody on this host"
