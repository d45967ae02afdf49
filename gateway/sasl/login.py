"""LOGIN (draft-murchison-sasl-login): login and password, one response each. Old clients know nothing else."""

from gateway.sasl.credentials import MAX_NAME, MAX_PASSWORD, Credentials, Exchange, SaslProblem, text


def login() -> Exchange:
    name = text((yield b"Username:"), MAX_NAME)
    if not name:
        raise SaslProblem("the login is empty")
    return Credentials(name, text((yield b"Password:"), MAX_PASSWORD))
