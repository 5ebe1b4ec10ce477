"""Real clients, each of which connects twice: anew, then offering what it was given.

A client is a function `client(target, version, tickets=True)` that returns two Visits. The
table CLIENTS has them all. Which session a client offered, and what became of it, is for
tlswire to read; what the client believes is in Visit.reused.
"""

import base64
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .deadline import DEADLINE_S
from .pyclient import TlsClient, make_context


@dataclass
class Target:
    """Where to connect, under what name, and what the client may use for it."""

    address: tuple
    name: str
    ca_file: Path
    key_log: Path
    folder: Path  # for the client's own files

    @property
    def host(self):
        return self.address[0]

    @property
    def port(self):
        return self.address[1]


@dataclass
class Visit:
    """What a client says of one connection. reused: None when it does not tell."""

    reused: bool
    output: str = ""


def execute(args, stdin=None, ok=(0,), **environment):
    """Runs a client to its end; its output and errors in one text."""
    done = subprocess.run(
        list(map(str, args)),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_S,
        env={**os.environ, **{key: str(value) for key, value in environment.items()}},
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode in ok, f"{args[0]} ended with {done.returncode}:\n{output}"
    return output


def request(target, path="/"):
    return f"GET {path} HTTP/1.0\r\nHost: {target.name}\r\n\r\n".encode()


def s_client(target, version, *more, sess_in=None, sess_out=None, name=None, ok=(0,)):
    """One connection of `openssl s_client` with a request; returns its output.

    sess_in and sess_out are files for the session; sess_out is not written when the
    server gives none.
    """
    args = ["openssl", "s_client", "-connect", f"{target.host}:{target.port}"]
    args += ["-servername", name or target.name] if name != "" else ["-noservername"]
    args += [f"-tls{version.replace('.', '_')}", "-CAfile", target.ca_file, "-ign_eof"]
    args += ["-keylogfile", target.key_log]
    if sess_in:
        args += ["-sess_in", sess_in]
    if sess_out:
        args += ["-sess_out", sess_out]
    return execute([*args, *more], stdin=request(target), ok=ok)


def s_client_reused(output):
    """What s_client prints after the handshake."""
    return re.search(r"^(New|Reused), (TLS|SSL)", output, re.M).group(1) == "Reused"


def openssl(target, version, tickets=True):
    """openssl s_client; the session goes from one to the next in a file."""
    session = target.folder / "s_client.session"
    more = [] if tickets else ["-no_ticket"]
    first = s_client(target, version, *more, sess_out=session)
    again = session if session.exists() else None
    second = s_client(target, version, *more, sess_in=again)
    return [Visit(s_client_reused(output), output) for output in (first, second)]


def gnutls(target, version, tickets=True, wait=True):
    """gnutls-cli --resume. In TLS 1.3 it waits for a ticket, if `wait`."""
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS{version}" + ("" if tickets else ":%NO_TICKETS")
    args = ["gnutls-cli", "--resume", "--port", target.port]
    args += ["--sni-hostname", target.name, "--verify-hostname", target.name]
    args += ["--x509cafile", target.ca_file]
    if version == "1.3" and wait:
        args.append("--waitresumption")
    args += ["--priority", priority, target.host]
    output = execute(args, stdin=request(target), SSLKEYLOGFILE=target.key_log)
    parts = output.split("trying to resume previous session")
    assert len(parts) == 2, output
    return [Visit("This is a resumed session" in part, part) for part in parts]


def curl(target, version, tickets=True):
    """curl with two URLs and no keep-alive: two connections of one process. It never
    offers TLS 1.2 tickets, whatever `tickets` says."""
    args = ["curl", "--silent", "--show-error", "--verbose", "--http1.1"]
    args += ["--header", "Connection: close", "--cacert", target.ca_file]
    args += ["--resolve", f"{target.name}:{target.port}:{target.host}"]
    args += [f"--tlsv{version}", "--tls-max", version]
    args += [f"https://{target.name}:{target.port}/{n}" for n in (1, 2)]
    output = execute(args, SSLKEYLOGFILE=target.key_log)
    parts = output.split("> GET /2 ")[0].split("> GET /1 ")
    assert len(parts) == 2, output
    return [Visit("re-using session ID" in part, part) for part in parts]


def python(target, version, tickets=True):
    """Python's ssl module in this process."""
    context = make_context(target.ca_file, version, target.key_log, tickets)
    visits, session = [], None
    for _ in range(2):
        with TlsClient(context, target.address, target.name, session) as client:
            client.request()
            session = client.session
            visits.append(Visit(client.reused))
            client.close()
    return visits


NODE = """
const [host, port, name, ca, version, keyLog] = process.argv.slice(1);
const tls = require('tls'), fs = require('fs');
const visit = (session, then) => {
  let latest = null;
  const socket = tls.connect({ host, port, servername: name, ca: fs.readFileSync(ca),
    minVersion: 'TLSv' + version, maxVersion: 'TLSv' + version, session }, () => {
    console.log(JSON.stringify({ reused: socket.isSessionReused() }));
    socket.write('GET / HTTP/1.0\\r\\nHost: ' + name + '\\r\\n\\r\\n');
  });
  socket.on('keylog', line => fs.appendFileSync(keyLog, line));
  socket.on('session', it => { latest = it; });
  socket.on('data', () => {});
  socket.on('error', error => { console.error(error); process.exit(1); });
  socket.on('close', () => then(latest));
};
visit(undefined, session => visit(session || undefined, () => {}));
"""


def node(target, version, tickets=True):
    """Node's tls.connect, with the session of the first for the second."""
    assert tickets, "Node has no option for that"
    args = ["node", "-e", NODE, target.host, target.port, target.name, target.ca_file]
    output = execute([*args, version, target.key_log])
    return [Visit(json.loads(line)["reused"], line) for line in output.splitlines()]


CLIENTS = {"openssl": openssl, "gnutls": gnutls, "curl": curl, "python": python, "node": node}
# Those that can be told not to offer tickets in TLS 1.2.
WITHOUT_TICKETS = ("openssl", "gnutls", "python")
# Those that do offer them: libcurl switches them off (SSL_OP_NO_TICKET) for TLS 1.2.
WITH_TICKETS = ("openssl", "gnutls", "python", "node")


def change_ticket(session_file, change):
    """Changes the ticket within a session file of OpenSSL to change(ticket), which has the
    same length. Returns the ticket that was there."""
    text = subprocess.run(
        ["openssl", "sess_id", "-in", session_file, "-noout", "-text"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    dump = re.search(r"TLS session ticket:\n((?: +[0-9a-f]{4} - .*\n)+)", text).group(1)
    ticket = b"".join(
        bytes.fromhex(line.split(" - ")[1][:48].replace("-", " ")) for line in dump.splitlines()
    )
    head, body, tail = re.fullmatch(
        r"(-----BEGIN.*?-----\n)(.*)(-----END.*)", session_file.read_text(), re.S
    ).groups()
    changed = change(ticket)
    assert len(changed) == len(ticket)
    der = base64.b64decode(body).replace(ticket, changed)
    session_file.write_text(head + base64.encodebytes(der).decode() + tail)
    return ticket
