"""The systemd unit of the service, hardened as far as a master allows that opens ports and starts others' uids."""

from __future__ import annotations

from pathlib import Path

from gateway.config.settings import WEB, Settings

NAME = "gatepost.service"
UNIT = """\
# made by `gatepost setup`; your own lines belong in `systemctl edit gatepost`
[Unit]
Description=Gatepost mail services
Wants=network-online.target
After=network-online.target nss-user-lookup.target slapd.service

[Service]
Type={type}
ExecStart={program} serve --config {configuration}
{reload}Restart=on-failure
RestartSec=2
TimeoutStopSec=60
WatchdogSec=60
KillMode=mixed
LimitNOFILE=65536
UMask=0077

# root opens ports and gives itself up in every child
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_DAC_OVERRIDE CAP_KILL
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
{writable}ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
SOCKET_UNIT = """\
# made by `gatepost setup --sockets`
[Unit]
Description=Gatepost {service}

[Socket]
{listen}FileDescriptorName={service}
Service={name}
Backlog=1024
BindIPv6Only=ipv6-only

[Install]
WantedBy=sockets.target
"""
NOTIFY_RELOAD_SINCE = 253  # Debian 12 has 252


def unit(settings: Settings, program: Path, configuration: Path, systemd_version: int) -> str:
    """The text of the unit file."""
    run, lines = Path(settings.run_dir), []
    folders = [settings.state_dir, *(volume.path for volume in settings.store.volumes.values())]
    if run.parent == Path("/run"):  # made anew at each start of the host
        lines += [f"RuntimeDirectory={run.name}", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=restart"]
    else:
        folders.append(settings.run_dir)
    own = [folder for folder in folders if not any(Path(other) in Path(folder).parents for other in folders)]
    lines += [f"ReadWritePaths={_escaped(folder)}" for folder in dict.fromkeys(own)]
    notify_reload = systemd_version >= NOTIFY_RELOAD_SINCE
    return UNIT.format(
        type="notify-reload" if notify_reload else "notify",
        reload="" if notify_reload else "ExecReload=/bin/kill -HUP $MAINPID\n",
        program=_escaped(str(program)),
        configuration=_escaped(str(configuration)),
        writable="".join(f"{line}\n" for line in lines),
    )


def socket_units(settings: Settings) -> dict[str, str]:
    """File name and text of a socket unit for each service of `listen` and the web front end: systemd opens the ports, and starts the service
    with the first client."""
    found = {}
    served = settings.listeners()
    for service in (*settings.listen, *([WEB] if WEB in served else [])):
        listeners = served[service]
        lines = []
        for each in listeners:
            if each.path:
                lines += [f"ListenStream={_escaped(each.path)}", f"SocketMode={each.mode}"]
            else:
                host = f"[{each.address}]" if ":" in each.address else each.address
                lines.append(f"ListenStream={host}:{each.port}")
        if lines:
            found[f"gatepost-{service}.socket"] = SOCKET_UNIT.format(
                service=service, name=NAME, listen="".join(f"{line}\n" for line in lines)
            )
    return found


def _escaped(path: str) -> str:
    """A path in a unit file: specifiers and blanks."""
    path = path.replace("%", "%%").replace("$", "$$")
    return f'"{path}"' if any(c.isspace() for c in path) else path
