"""The far end of mail that leaves: Postfix's smtp-sink, which takes everything and throws it away."""
import os, pty, re, socket, subprocess, threading, time
PATHS = '/usr/sbin:/usr/bin:/sbin:/bin'


class Sink:
    """Listens while the block runs. It is no part of the server: its CPU is not counted."""
    def __init__(self, addr):
        self.addr, self.count = addr, 0

    def __enter__(self):
        # its counters are printed at each message, to a terminal only
        self.fd, theirs = pty.openpty()
        cmd = ['smtp-sink', '-c', *(['-u', 'nobody'] if os.getuid() == 0 else []), '%s:%d' % self.addr, '1000']
        self.proc = subprocess.Popen(cmd, stdout=theirs, stderr=subprocess.DEVNULL, env={'PATH': PATHS})
        os.close(theirs)
        threading.Thread(target=self._read, daemon=True).start()
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(self.addr, 1).close()
                return self
            except OSError:
                if time.monotonic() > end or self.proc.poll() is not None:
                    self.proc.kill()
                    raise SystemExit('smtp-sink does not listen on %s:%d' % self.addr)
                time.sleep(0.05)

    def _read(self):
        rest = b''
        while True:
            try:
                rest += os.read(self.fd, 65536)
            except OSError:
                return
            for m in re.finditer(rb'mesg=\s*(\d+)', rest):
                self.count = int(m.group(1))
            rest = rest[-100:]

    def messages(self):
        """how many messages it took"""
        return self.count

    def wait(self, n, limit_s):
        """until it took n messages, or the limit has passed"""
        end = time.monotonic() + limit_s
        while self.count < n and time.monotonic() < end:
            time.sleep(0.005)

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait()
        os.close(self.fd)
