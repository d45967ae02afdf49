"""A laboratory for shared storage: an NFS server and its clients, real kernels, in a network of their own.

The network is a namespace that lives as long as one process here, which ends when this one does; nothing is
left on the host: no name, no interface, no mount. The server exports a folder of its disk with `sync`, as
docs/howto/storage.md asks for; clients mount it `hard`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import smtplib
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from guest import Guest, NoGuest
from unpacked import unpacked

T = TypeVar("T")
SERVER = "10.0.0.1"
HERE = "10.0.0.254"
MOUNT = "/run/mail"
DISK_SIZE = 256 << 20  # sparse
_CLONE_NEWNET = 0x40000000
_PACKAGES = ("user-mode-linux", "nfs-common", "nfs-kernel-server", "kmod")
_FETCH_SECONDS = 240  # 42 MB, once
_PROGRAMS = ("ip", "mkfs.ext4", "nsenter", "setpriv", "unshare", "apt-get")
_SERVE = """
mount -t ext4 /dev/ubda /mnt
mkdir -p /mnt/export /mnt/state/{sm,v4recovery,nfsdcld}
touch /mnt/state/{etab,rmtab}
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/nfs
mount --bind /mnt/state /var/lib/nfs
modprobe -d /run/modules nfsd
mkdir -p /var/lib/nfs/rpc_pipefs
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
mount -t nfsd nfsd /proc/fs/nfsd
nfsdcld -p /var/lib/nfs/rpc_pipefs -s /var/lib/nfs/nfsdcld
echo 10 > /proc/fs/nfsd/nfsv4leasetime
echo 10 > /proc/fs/nfsd/nfsv4gracetime
exportfs -o rw,sync,no_root_squash,no_subtree_check,fsid=0,insecure '10.0.0.0/24:/mnt/export' ||
    [ -s /var/lib/nfs/etab ] # it does not like it that the host has no /etc/exports
rpc.mountd -N 3
rpc.nfsd -N 3 -V 4 -V 4.1 -V 4.2 4
"""

# as docs/howto/storage.md says; timeo, in tenths of a second, is when the kernel's log tells of an outage
_USE = f"""
mount -t ext4 /dev/ubda /mnt
for module in nfs nfsv4; do modprobe -d /run/modules $module; done
mkdir -p {MOUNT}
mount.nfs4 {SERVER}:/ {MOUNT} -o vers=4.2,hard,proto=tcp,noatime,timeo=50
"""


class NoLaboratory(Exception):
    """It cannot be on this machine; says why."""


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def _packages() -> Path:
    """Raises NoLaboratory."""
    try:
        return unpacked("nfs", *_PACKAGES, seconds=_FETCH_SECONDS)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        raise NoLaboratory(f"{' '.join(_PACKAGES)} cannot be had: {said[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoLaboratory(f"{' '.join(_PACKAGES)} cannot be had: {error}") from error


class Network:
    """A network namespace with a bridge, in which this host is `HERE`."""

    def __init__(self) -> None:
        """Raises NoLaboratory."""
        if absent := [program for program in _PROGRAMS if shutil.which(program, path=_path()) is None]:
            raise NoLaboratory(f"not installed: {' '.join(absent)}")
        if os.geteuid() != 0:
            raise NoLaboratory("a network of its own needs root")
        if not os.path.exists("/dev/net/tun"):
            raise NoLaboratory("this machine has no /dev/net/tun")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        try:
            if not self._holder.stdout.readline():
                raise NoLaboratory("unshare --net is not allowed")
            self.ip("link set lo up", "link add bridge type bridge", f"address add {HERE}/24 dev bridge")
            self.ip("link set bridge up")
        except subprocess.CalledProcessError as error:
            self.close()
            raise NoLaboratory(f"{error}: {error.stderr.decode(errors='replace').strip()}") from error
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process that the namespace lives in."""
        return self._holder.pid

    def ip(self, *commands: str) -> None:
        for command in commands:
            subprocess.run(
                ["nsenter", f"--net=/proc/{self.pid}/ns/net", "ip", *command.split()],
                check=True, capture_output=True, timeout=10, env={"PATH": _path()},
            )  # fmt: skip

    def add(self, tap: str) -> None:
        self.ip(f"tuntap add {tap} mode tap", f"link set {tap} master bridge", f"link set {tap} up")

    def within(self, act: Callable[[], T]) -> T:
        """Do something in the namespace; sockets made there stay there. Raises what `act` raises."""
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                self.enter()
                done.append(act())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def enter(self) -> None:
        """From now on this thread's sockets are in the namespace. Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)

    def dial(self, host: tuple[str, int]) -> smtplib.SMTP:
        """An SMTP client that notices within seconds that its host lost its power. Raises OSError, SMTPException."""
        return self.within(lambda: _Noticing(*host, timeout=20))

    def close(self) -> None:
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait(10)


class _Noticing(smtplib.SMTP):
    """With probes while nothing comes: a kernel that is there answers them, however long its service takes."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.socket()
        for level, option, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 4_000),
        ):
            connection.setsockopt(level, option, value)
        connection.settimeout(timeout)
        try:
            connection.connect((host, port))
        except OSError:
            connection.close()
            raise
        return connection


class Laboratory:
    """A server and clients by name; their disks and consoles lie in `folder`."""

    def __init__(self, folder: Path, *clients: str) -> None:
        """All are on, with the export mounted at MOUNT. Raises NoLaboratory, GuestProblem."""
        self.network = Network()
        self.folder = folder
        self._guests: dict[str, Guest] = {}
        try:
            packages = _packages()
            for number, name in enumerate(("server", *clients), 1):
                disk = folder / f"{name}.disk"
                with disk.open("wb") as file:
                    file.truncate(DISK_SIZE)
                subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True, timeout=30, env={"PATH": _path()})
                tap = f"tap{number}"
                self.network.add(tap)
                self._guests[name] = Guest(
                    name, f"10.0.0.{number}", tap=tap, namespace=self.network.pid, disk=disk, packages=packages
                )
            self.start(*self._guests)
        except NoGuest as problem:
            self.close()
            raise NoLaboratory(f"user-mode Linux does not run: {problem}") from problem
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Guest:
        return self._guests[name]

    def start(self, *names: str) -> None:
        """Boot guests, each with all that it is for: the export, or the mount. For the main thread."""
        for name in names:
            self._guests[name].turn_on()
        for name in sorted(names, key=lambda name: name != "server"):
            self._guests[name].wait_for_boot()
            self._guests[name].run(f"set -e; {_SERVE if name == 'server' else _USE}")

    def calls(self, name: str) -> dict[str, int]:
        """How often a client has called each operation of NFS since it mounted the export."""
        statistics = self._guests[name].run("cat /proc/self/mountstats").partition("per-op statistics")[2]
        words = [line.split() for line in statistics.splitlines()]
        return {line[0].rstrip(":"): int(line[1]) for line in words if len(line) > 2}

    def cut_off_server(self, *, is_off: bool) -> None:
        """Take the server's network away from it, or give it back."""
        self.network.ip(f"link set tap1 {'down' if is_off else 'up'}")

    def close(self) -> None:
        for guest in self._guests.values():
            guest.cut()
        self.network.close()
