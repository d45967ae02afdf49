"""LANG (RFC 6856 3.2): the language of texts; without an argument a list of all."""

from gateway.ask import Dialogue
from gateway.pop3.languages import LANGUAGES, language, told
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


@command("LANG", logged_in=None)
def lang(session: Session, argument: bytes) -> Dialogue:
    if not argument:
        lines = [f"{tag} {name}" for tag, name in LANGUAGES.items()]
        yield session.ok("languages") + "\r\n".join([*lines, ".", ""]).encode()
        return
    chosen = language(argument.decode("ascii", "replace"))
    if chosen is None:
        raise Wrong("no such language")
    session.language = chosen
    yield f"+OK {chosen} {told('texts are in this language', chosen)}\r\n".encode()
