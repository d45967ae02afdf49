"""Where a message would go, in words: what `doctor` tells of the plan of a rehearsal."""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Deferred
from directory.port import Directory
from gateway.config.settings import Settings
from gateway.route.next_hop import next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Plan, Remote, RemoteLmtp
from gateway.service.rehearsal import Rehearsed

_LIST_MAIL = {
    "bounce": "read as a bounce of the list",
    "request": "read as a request to the list",
    "post": "waits for the moderators of the list",
}


def told_targets(told: Rehearsed, sender: str, directory: Directory, settings: Settings) -> list[str]:
    """A line for each; none for what is not taken."""
    if told.code >= 300:
        return []
    return _targets(told.plan, lambda step: _way(step, sender, directory, settings))


def _way(step: Remote | RemoteLmtp, sender: str, directory: Directory, settings: Settings) -> str:
    """Where the message goes, in words."""
    path = sender if step.return_path is None or not sender else step.return_path
    try:
        hop = next_hop(step, path, directory, settings.relay, settings.route.extension_separator)
    except Deferred as error:
        return f"no way at the moment ({error})"
    protection = {"may": "", "never": ", never with TLS"}.get(hop.tls, f", TLS {hop.tls}")
    source = f", from {hop.source}" if hop.source else ""
    if hop.kind == "mx":
        return f"by the MX records of {hop.host}{protection}{source}"
    hosts = " or ".join(f"{host}:{port}" for host, port in ((hop.host, hop.port), *hop.others))
    login = f", logged in by relay.credentials.{hop.login}" if hop.login else ""
    return f"by {hop.kind.upper()} to {hosts}{login}{protection}{source}"


def _targets(plan: Plan | None, way: Callable[[Remote | RemoteLmtp], str]) -> list[str]:
    found = []
    for step in plan.steps if plan is not None else ():
        if isinstance(step, Local):
            text = f"mailbox of {step.holder.primary} ({step.holder.dn}){step.mailbox and f', {step.mailbox}'}"
        elif isinstance(step, RemoteLmtp):
            text = f"mailbox of {step.holder.primary} on {step.host}, {way(step)}"
        elif isinstance(step, Instructions):
            text = f"by rules of {step.holder.dn} that need the message"
        elif isinstance(step, Discard):
            text = f"taken and thrown away, as a rule of {step.holder.dn} says"
        elif isinstance(step, ListMail):
            text = f"{_LIST_MAIL[step.kind]} {step.service_of.primary} ({step.service_of.dn})"
        elif isinstance(step, Remote):
            text = f"sent on to {step.recipient}, {way(step)}"
        else:
            assert isinstance(step, Later)
            text = f"{step.recipient or step.account}: later, {step.reason.text} ({step.reason})"
        found.append(text + (f", return path {step.return_path}" if step.return_path else ""))
    found += [f"{lost.recipient}: never, {lost.reason.text} ({lost.reason})" for lost in (plan.lost if plan else ())]
    return found
