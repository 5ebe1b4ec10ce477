#!/usr/bin/python3
"""What a release build learns from: train.py PROGRAM FOLDER (tools/release.sh).

Puts load on a terminator, both of them PROGRAM, which was compiled with counters (gcc's
-fprofile-generate); what they counted goes to FOLDER. Both sides of each kind of handshake, with the
groups, ciphers and certificates that clients use, and bulk.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import run

AES128 = "ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"
AES256 = "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384"
CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256"
RSA = "ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"

LOADS = [
    (f"-k {kind} --tls {tls} --groups {groups} --ciphers {ciphers}", count)
    for groups, ciphers, count in [
        ("X25519:P-256", AES128, 1500),
        ("X25519:P-256", AES256, 500),
        ("P-256", CHACHA, 300),
        ("X25519MLKEM768:X25519:P-256", AES256, 300),
        ("X25519:P-256", RSA, 300),
    ]
    for kind, tls in [("id", "1.2"), ("ticket", "1.2"), ("psk", "1.3"), ("full", "1.2"), ("full", "1.3")]
]
BULK = "--payload 32M -c 2 --groups X25519:P-256 --ciphers"


def train(program, folder, counted):
    peers.make_certificate(folder)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa-key.pem",
         "-out", "rsa.pem", "-subj", "/CN=localhost", "-days", "2"],
        cwd=folder, check=True, stderr=subprocess.DEVNULL)  # fmt: skip
    peers.make_floor(folder)
    port, backend_port = peers.free_port(), peers.free_port()
    text = peers.REPRISE.format(port=port, backend=backend_port)
    both = text.replace("key: key.pem }", "key: key.pem }, { chain: rsa.pem, key: rsa-key.pem }")
    assert both != text
    (folder / "reprise.conf").write_text(both)
    # Each process adds to the same files, the workers as another user where this one is root.
    os.umask(0)
    os.environ.update(GCOV_PREFIX=str(counted), GCOV_PREFIX_STRIP="99")
    running = []
    try:
        running.append(
            peers.start([str(folder / "floor"), "echo", str(backend_port)], folder, run.CLIENT_CPU, backend_port)
        )
        running.append(peers.start([program, "run", "-c", "reprise.conf"], folder, run.SERVER_CPU, port))
        if None in running:
            raise SystemExit(f"train: it did not start:\n{(folder / 'log').read_text()}")
        loads = [f"--payload 100 -n {count} {args}" for args, count in LOADS]
        loads += [f"{BULK} {ciphers} -n 2 --tls {tls}" for ciphers, tls in [(AES128, "1.3"), (AES256, "1.2")]]
        for load in loads:
            done = subprocess.run(
                ["taskset", "-c", str(run.CLIENT_CPU), program, "bench", *load.split(), f"127.0.0.1:{port}"],
                capture_output=True, text=True)  # fmt: skip
            if done.returncode != 0:
                raise SystemExit(f"train: {load}:\n{done.stdout}{done.stderr}")
    finally:
        for process in filter(None, running):
            process.terminate()
            process.wait()


def main():
    program, profile = os.path.abspath(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="reprise-train-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        counted = folder / "counted"
        counted.mkdir()
        if os.getuid() == 0:
            os.chown(counted, pwd.getpwnam("nobody").pw_uid, -1)
        train(program, folder, counted)
        files = list(counted.glob("*.gcda"))
        if not any("src_proxy_worker" in file.name for file in files):
            raise SystemExit(f"train: {program} counts nothing: it is not compiled with -fprofile-generate")
        for file in files:
            shutil.copy(file, profile)


if __name__ == "__main__":
    main()
