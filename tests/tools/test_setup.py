"""tools/setup.sh and tools/aws-lc.sh: what they say when something is missing."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
NOBODY = 65534


@pytest.fixture
def tools():
    """A copy of tools/ that any user may read, and a sudo that refuses. Not in tmp_path,
    which lies in a folder for its owner alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(TOP / "tools", folder / "tools", ignore=shutil.ignore_patterns("__*"))
        (folder / "bin").mkdir()
        fake(folder, "sudo", "exit 1")
        yield folder


def run_without_root(tools, *command):
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    return subprocess.run(
        command, cwd=tools, capture_output=True, text=True, **as_nobody,
        env={"PATH": f"{tools}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"})


def list_packages(tools, text):
    (tools / "tools/apt-packages.txt").write_text(text)


def fake(tools, name, script):
    command = tools / "bin" / name
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def test_setup_says_nothing_when_all_is_there(tools):
    list_packages(tools, "# a comment\n[build]\ndpkg   # with one\n\n[check]\nbash\n")
    done = run_without_root(tools, "tools/setup.sh", "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_setup_without_root_prints_the_one_command(tools):
    list_packages(tools, "[build]\ndpkg\nno-such-a\n[check]\nno-such-b # why\nno-such-c ?no-such\n")
    done = run_without_root(tools, "tools/setup.sh", "check")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "  sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends"
        " no-such-a no-such-b no-such-c'")


def test_setup_for_a_build_does_not_ask_for_the_checks_packages(tools):
    list_packages(tools, "[build]\ndpkg\n[check]\nno-such-b\n")
    assert run_without_root(tools, "tools/setup.sh", "build").returncode == 0
    assert run_without_root(tools, "tools/setup.sh", "check").returncode == 1


def test_setup_for_measuring_asks_for_the_peers_and_not_for_the_checks_packages(tools):
    list_packages(tools, "[build]\ndpkg\n[check]\nno-such-b\n[bench]\nno-such-c\n")
    done = run_without_root(tools, "tools/setup.sh", "bench")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("--no-install-recommends no-such-c'")
    assert run_without_root(tools, "tools/setup.sh", "build").returncode == 0


def test_setup_takes_a_command_from_elsewhere(tools):
    list_packages(tools, "[build]\nno-such-a ?no-such-command\n")
    assert run_without_root(tools, "tools/setup.sh", "build").returncode == 1
    fake(tools, "no-such-command", "exit 0")
    assert run_without_root(tools, "tools/setup.sh", "build").returncode == 0


def test_setup_installs_where_sudo_asks_nothing(tools):
    """One update, one installation; what is still missing afterwards is told."""
    fake(tools, "sudo", 'shift; [ "$1" = true ] || echo "$@"')
    list_packages(tools, "[build]\nno-such-a\n")
    done = run_without_root(tools, "tools/setup.sh", "build")
    asked = [line for line in done.stdout.splitlines() if "apt-get" in line]
    assert [line.split()[-1] for line in asked] == ["update", "no-such-a"]
    assert done.returncode == 1
    assert "setup: installing no-such-a" in done.stderr
    assert "still missing after the installation: no-such-a" in done.stderr


def test_setup_tells_that_the_archive_is_not_reached(tools):
    fake(tools, "sudo", 'shift; [ "$1" = true ]')
    list_packages(tools, "[build]\nno-such-a\n")
    done = run_without_root(tools, "tools/setup.sh", "build")
    assert done.returncode == 1
    assert "is the archive of /etc/apt reachable?" in done.stderr


def test_setup_can_be_skipped(tools):
    list_packages(tools, "[build]\nno-such-a\n")
    done = run_without_root(tools, "env", "SETUP=no", "tools/setup.sh", "build")
    assert done.returncode == 0


def aws_lc(tmp_path, **environment):
    environment = {**os.environ, "REPRISE_DEPS": str(tmp_path / "deps"), **environment}
    return subprocess.run([TOP / "tools/aws-lc.sh"], capture_output=True, text=True,
                          env={k: v for k, v in environment.items() if v is not None})


def make_prefix(folder, version="9.9.9", lib="lib"):
    for name in (f"{lib}/libssl.a", f"{lib}/libcrypto.a", "include/openssl/base.h"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "include/openssl/base.h").write_text(
        f'#define AWSLC_VERSION_NUMBER_STRING "{version}"\n')
    return folder


@pytest.mark.parametrize("lib", ["lib", "lib64"])
def test_aws_lc_takes_a_built_one(tmp_path, lib):
    prefix = make_prefix(tmp_path / "own", lib=lib)
    done = aws_lc(tmp_path, AWS_LC_PREFIX=str(prefix))
    assert (done.returncode, done.stdout) == (0, f"{prefix}\n")
    assert not (tmp_path / "deps").exists()


@pytest.mark.parametrize("missing", ["lib/libssl.a", "lib/libcrypto.a", "include/openssl/base.h"])
def test_aws_lc_refuses_what_is_not_a_built_one(tmp_path, missing):
    prefix = make_prefix(tmp_path / "own")
    (prefix / missing).unlink()
    done = aws_lc(tmp_path, AWS_LC_PREFIX=str(prefix))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"aws-lc: AWS_LC_PREFIX={prefix}: " in done.stderr


@pytest.mark.parametrize("source", ["", "none"])
def test_aws_lc_refuses_what_is_not_a_source_tree(tmp_path, source):
    done = aws_lc(tmp_path, AWS_LC_SOURCE=str(tmp_path / source), AWS_LC_PREFIX=None)
    assert (done.returncode, done.stdout) == (1, "")
    assert "aws-lc: AWS_LC_SOURCE=" in done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize("classic", [True, False])
def test_aws_lc_tells_that_the_archive_is_not_reached(tmp_path, classic):
    """Whichever way apt is configured, it is that archive which is tried, and no other."""
    uri = "http://127.0.0.1:1/debian/"
    sources = tmp_path / ("a.list" if classic else "a.sources")
    sources.write_text(
        f"deb [arch=amd64 signed-by=/k.gpg] {uri} stable main\n" if classic else
        f"Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\nSigned-By: /k.gpg\n")
    config = tmp_path / "apt.conf"
    config.write_text(
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{tmp_path}/";\nAcquire::Retries "0";\n')
    done = aws_lc(tmp_path, APT_CONFIG=str(config), AWS_LC_SOURCE=None, AWS_LC_PREFIX=None)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"fetching librust-aws-lc-sys-dev from {uri}" in done.stderr
    assert "no Debian archive of /etc/apt was reached" in done.stderr
    assert "AWS_LC_SOURCE" in done.stderr
    work = (tmp_path / "deps/aws-lc.work/unstable.sources").read_text()
    assert "Signed-By: /k.gpg\n" in work
    assert not (tmp_path / "deps/aws-lc").exists()


def test_aws_lc_with_flags_is_of_the_version_that_was_kept(tmp_path):
    """No archive is asked again."""
    control = tmp_path / "package/DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text("Package: librust-aws-lc-sys-dev\nVersion: 9.9-1\nArchitecture: all\n"
                       "Maintainer: nobody\nDescription: empty\n")
    kept = tmp_path / "deps/librust-aws-lc-sys-dev.deb"
    kept.parent.mkdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tmp_path / "package", kept],
                   check=True, capture_output=True)
    done = aws_lc(tmp_path, APT_CONFIG="/nonexistent", AWS_LC_SOURCE=None, AWS_LC_PREFIX=None,
                  AWS_LC_FLAGS="-O1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{kept} (9.9-1) holds no AWS-LC source" in done.stderr
    assert "fetching" not in done.stderr


def test_aws_lc_tells_that_the_package_that_it_kept_is_damaged(tmp_path):
    kept = tmp_path / "deps/librust-aws-lc-sys-dev.deb"
    kept.parent.mkdir()
    kept.write_text("no package")
    done = aws_lc(tmp_path, AWS_LC_SOURCE=None, AWS_LC_PREFIX=None, AWS_LC_FLAGS="-O1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{kept} is damaged: remove it" in done.stderr
