#!/usr/bin/python3
"""What a release build learns from: train.py PROGRAM FOLDER (tools/release.sh).

Puts load on a terminator, both of them PROGRAM, which was compiled with counters (gcc's
-fprofile-generate); what they counted goes to FOLDER. Both sides of each kind of handshake, with the
groups, ciphers and certificates that clients use, and bulk. Root does it as nobody, in /tmp.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import peers

AES128 = "ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"
AES256 = "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384"
CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256"
RSA = "ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"

LOADS = [
    f"--payload 100 -n {count} -k {kind} --tls {tls} --groups {groups} --ciphers {ciphers}"
    for groups, ciphers, count in [
        ("X25519:P-256", AES128, 1500),
        ("X25519:P-256", AES256, 500),
        ("P-256", CHACHA, 300),
        ("X25519MLKEM768:X25519:P-256", AES256, 300),
        ("X25519:P-256", RSA, 300),
    ]
    for kind, tls in [("id", "1.2"), ("ticket", "1.2"), ("psk", "1.3"), ("full", "1.2"), ("full", "1.3")]
] + [
    f"--payload 32M -c 2 -n 2 --tls {tls} --groups X25519:P-256 --ciphers {ciphers}"
    for tls, ciphers in [("1.2", AES256), ("1.3", AES128)]
]


def prepare(program, folder, port, backend_port):
    """All that the load needs, out of folders that only root may read."""
    shutil.copy(program, folder / "reprise")
    peers.make_floor(folder)
    peers.make_certificate(folder)
    peers.self_sign(folder, ["rsa:2048"], "rsa-key.pem", "rsa.pem")
    text = peers.REPRISE.format(port=port, backend=backend_port)
    both = text.replace("key: key.pem }", "key: key.pem }, { chain: rsa.pem, key: rsa-key.pem }")
    assert both != text
    (folder / "reprise.conf").write_text(both)
    (folder / "counted").mkdir()


def train(folder, port, backend_port, user, log):
    environment = {**os.environ, "GCOV_PREFIX": str(folder / "counted"), "GCOV_PREFIX_STRIP": "99"}
    running = []

    def start(*command):
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **user)

    def said():
        log.seek(0)
        return log.read().decode(errors="replace")

    try:
        for wanted, command in [
            (backend_port, ["./floor", "echo", str(backend_port)]),
            (port, ["./reprise", "run", "-c", "reprise.conf"]),
        ]:
            running.append(start(*command))
            if not peers.wait_for_port(running[-1], wanted):
                raise SystemExit(f"train: {command[0]} did not start:\n{said()[-2000:]}")
        for load in LOADS:
            if start("./reprise", "bench", *load.split(), f"127.0.0.1:{port}").wait() != 0:
                raise SystemExit(f"train: {load}:\n{said()[-2000:]}")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    failed = re.findall(r"^profiling:.*", said(), re.MULTILINE)  # libgcov says so
    if failed:
        raise SystemExit("\n".join(["train: what was counted is not all written:", *failed[:5]]))


def take(counted, profile):
    """Copies what was counted; from a folder of somebody else's, so nothing but plain files."""
    names = [name for name in os.listdir(counted) if name.endswith(".gcda")]
    if not any("src_proxy_worker" in name for name in names):
        raise SystemExit("train: nothing was counted: the program is not compiled with -fprofile-generate")
    for name in names:
        with open(os.open(counted / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise SystemExit(f"train: {name} is no file")
            (profile / name).write_bytes(source.read())


def main():
    program, profile = sys.argv[1], Path(sys.argv[2])
    root = os.getuid() == 0
    port, backend_port = peers.free_port(), peers.free_port()
    with (
        tempfile.TemporaryDirectory(prefix="reprise-train-", dir="/tmp" if root else None) as name,
        tempfile.TemporaryFile() as log,
    ):
        folder = Path(name)
        user = {}
        prepare(program, folder, port, backend_port)
        if root:
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in [*folder.iterdir(), folder]:  # the folder last: until then it is root's alone
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        train(folder, port, backend_port, user, log)
        take(folder / "counted", profile)


if __name__ == "__main__":
    main()
