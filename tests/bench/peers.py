"""The servers that tests/bench/run.py measures: the floor, Reprise, and Debian's terminators.

Each passes the bytes of a TLS connection on to the same TCP backend, has one worker, the same
certificate, a session cache and tickets, and logs no connections (Reprise logs each one, to a file
that forgets: what it decides is part of it).
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

REPRISE = """
workers: 1
control-socket: none
log: {{ rate: 0 }}
client-ssl-profiles:
  - name: bench
    default: on
    certificates: [{{ chain: chain.pem, key: key.pem }}]
    session-cache: on
    session-tickets: on
    idle-timeout: 1h
pools:
  - name: echo
    members: ["127.0.0.1:{backend}"]
virtual-servers:
  - name: bench
    listen: ["127.0.0.1:{port}"]
    profiles: [bench]
    pool: echo
"""

HAPROXY = """
global
    nbthread 1
    maxconn 9000
    tune.ssl.cachesize 20000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend bench
    bind 127.0.0.1:{port} ssl crt combined.pem
    default_backend echo
backend echo
    server echo 127.0.0.1:{backend}
"""

HITCH = """
frontend = {{ host = "127.0.0.1" port = "{port}" }}
backend = "[127.0.0.1]:{backend}"
pem-file = "combined.pem"
workers = 1
backlog = 4096
daemon = off
log-level = 0
user = "nobody"
tls-protos = TLSv1.2 TLSv1.3
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 15000; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate chain.pem;
        ssl_certificate_key key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:bench:20m;
        ssl_session_tickets on;
        proxy_timeout 1h;
        proxy_pass 127.0.0.1:{backend};
    }}
}}
"""

STUNNEL = """
foreground = yes
pid =
debug = 0
[bench]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
cert = {folder}/combined.pem
sslVersionMin = TLSv1.2
sessionCacheSize = 20000
"""

NGINX_HTTP = """
worker_processes 1;
daemon off;
pid nginx-http.pid;
error_log stderr crit;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate chain.pem;
        ssl_certificate_key key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:bench:20m;
        ssl_session_tickets on;
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
    }}
}}
"""

HAPROXY_HTTP = HAPROXY.replace("mode tcp", "mode http")

H2O = """
num-threads: 1
user: nobody
proxy.timeout.keepalive: 0
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: {port}
      ssl:
        certificate-file: chain.pem
        key-file: key.pem
        minimum-version: TLSv1.2
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{backend}/
"""

# Debian's is linked with OpenSSL: one that was built with AWS-LC is named by its path.
HAPROXY_AWS_LC = os.environ.get("HAPROXY_AWS_LC", "haproxy-aws-lc")

# name: file and text of its configuration, command, package (None: not of Debian)
PEERS = {
    "floor": (None, None, ["{folder}/floor", "relay", "{port}", "{backend}"], None),
    "reprise": ("reprise.conf", REPRISE, ["{reprise}", "run", "-c", "reprise.conf"], None),
    "hitch": ("hitch.conf", HITCH, ["hitch", "--config", "hitch.conf"], "hitch"),
    "haproxy": ("haproxy.cfg", HAPROXY, ["haproxy", "-db", "-f", "haproxy.cfg"], "haproxy"),
    "nginx": ("nginx.conf", NGINX, ["nginx", "-p", "{folder}", "-c", "nginx.conf"], "nginx-light"),
    "haproxy-aws-lc": ("haproxy-aws-lc.cfg", HAPROXY, [HAPROXY_AWS_LC, "-db", "-f", "haproxy-aws-lc.cfg"], None),
    "stunnel": ("stunnel.conf", STUNNEL, ["stunnel4", "{folder}/stunnel.conf"], "stunnel4"),
}

# Those that pass HTTP on, for works of HTTP only; the floor and Reprise pass its bytes on.
HTTP_PEERS = {
    "floor": PEERS["floor"],
    "reprise": PEERS["reprise"],
    "h2o": ("h2o.conf", H2O, ["h2o", "-c", "h2o.conf"], "h2o"),
    "nginx (HTTP)": ("nginx-http.conf", NGINX_HTTP, ["nginx", "-p", "{folder}", "-c", "nginx-http.conf"], "nginx-light"),
    "haproxy (HTTP)": ("haproxy-http.cfg", HAPROXY_HTTP, ["haproxy", "-db", "-f", "haproxy-http.cfg"], "haproxy"),
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def self_sign(folder, kind=P256, key="key.pem", chain="chain.pem"):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out", chain,
         "-subj", "/CN=localhost", "-days", "2"],
        cwd=folder, check=True, stderr=subprocess.DEVNULL)  # fmt: skip


def make_certificate(folder):
    self_sign(folder)
    combined = (folder / "key.pem").read_text() + (folder / "chain.pem").read_text()
    (folder / "combined.pem").write_text(combined)


def make_floor(folder):
    subprocess.run(
        ["cc", "-O2", "-D_GNU_SOURCE", "-o", folder / "floor", TOP / "tests/bench/floor.c"], check=True
    )


def wait_for_port(process, port, deadline_s=10):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def start(command, folder, cpu, port):
    """Starts a server on a core; returns its process, or None when it did not start."""
    log = open(Path(folder) / "log", "a")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    process = subprocess.Popen(
        ["taskset", "-c", str(cpu), *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
        stderr=subprocess.DEVNULL if "run" in command else log,
        env={**os.environ, "PATH": path})  # fmt: skip
    if wait_for_port(process, port):
        return process
    process.terminate()
    process.wait()
    return None


def start_peer(name, folder, backend, cpu, reprise):
    """Returns (process, port), or None when there is no such program here or it fails."""
    file, text, command, _ = {**PEERS, **HTTP_PEERS}[name]
    port = free_port()
    values = {"port": port, "backend": backend, "folder": folder, "reprise": reprise}
    command = [part.format(**values) for part in command]
    if not shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return None
    if file:
        (folder / file).write_text(text.format(**values))
    process = start(command, folder, cpu, port)
    return (process, port) if process else None


def version(name):
    """Its Debian package's version, or the program's own word."""
    command, package = {**PEERS, **HTTP_PEERS}[name][2:]
    if name == "haproxy-aws-lc":
        done = subprocess.run([*command[:1], "-v"], capture_output=True, text=True)
        return done.stdout.split()[2] if done.returncode == 0 else ""
    if package is None:
        return ""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""
