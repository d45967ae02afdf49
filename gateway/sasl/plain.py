"""PLAIN (RFC 4616): authorization identity, login and password in one response, separated by NUL."""

from gateway.sasl.credentials import MAX_NAME, MAX_PASSWORD, Credentials, Exchange, SaslProblem, text


def plain() -> Exchange:
    parts = (yield b"").split(b"\0")
    if len(parts) != 3:
        raise SaslProblem("PLAIN needs authorization identity, login and password")
    login = text(parts[1], MAX_NAME)
    authorization = text(parts[0], MAX_NAME)
    if not login:
        raise SaslProblem("the login is empty")
    return Credentials(login, text(parts[2], MAX_PASSWORD), "" if authorization == login else authorization)
