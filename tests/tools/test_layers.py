"""tools/layers.py: the source tree holds its layers, and a wrong include is noticed."""
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def layers(folder):
    return subprocess.run([TOP / "tools/layers.py", folder], capture_output=True, text=True)


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_source_tree_holds_its_layers():
    done = layers(TOP / "src")
    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    "path, include, fault",
    [
        ("wire/a.c", '"resume/decide.h"', "resume is above wire"),
        ("wire/a.h", '"resume/decide.h"', "resume is above wire"),
        ("base/a.c", '"cmd/cmd.h"', "cmd is above base"),
        ("wire/a.c", '"reason/reason.h"', "reason is a neighbour of wire"),
        ("reason/a.def", '"wire/hello.h"', "wire is a neighbour of reason"),
        ("proxy/a.c", '"admin/admin.h"', "admin is a neighbour of proxy"),
        ("wire/a.c", '"hello.h"', "a path from src/"),
        ("wire/a.c", '"wire/../resume/decide.h"', "a path from src/"),
        ("wire/a.c", '"nowhere/a.h"', "no layer is called nowhere"),
        ("wire/a.c", '"base/err.c"', "a source file is not included"),
        ("wire/a.c", "HEADER", "by macro"),
        ("proxy/a.c", "<openssl/ssl.h>", "only for tls/"),
        ("base/crypto.c", "<openssl/ssl.h>", "only for tls/"),
        ("base/crypto.h", "<openssl/aead.h>", "only for tls/ and base/crypto.c"),
        ("store/a.c", "<openssl/rand.h>", "only for tls/ and base/crypto.c"),
        ("cmd/a.c", "<cyaml/cyaml.h>", "only for config/"),
    ],
)
def test_a_wrong_include_is_told_with_its_place(tmp_path, path, include, fault):
    write(tmp_path, path, f"/* a */\n#include <stdio.h>\n  #  include {include}\n")
    done = layers(tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path / path}:3: ")
    assert fault in done.stdout


@pytest.mark.parametrize(
    "path, include",
    [
        ("wire/a.c", '"wire/hello.h"'),
        ("wire/a.c", '"base/err.h"'),
        ("cmd/a.c", '"base/err.h"'),
        ("tls/a.c", "<openssl/ssl.h>"),
        ("tls/a.c", "<openssl/rand.h>"),
        ("base/crypto.c", "<openssl/aead.h>"),
        ("config/a.c", "<cyaml/cyaml.h>"),
    ],
)
def test_a_right_include_is_accepted(tmp_path, path, include):
    write(tmp_path, path, f"#include {include}\n")
    done = layers(tmp_path)
    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("path", ["stray.c", "newfolder/a.c"])
def test_a_file_in_no_layer_is_refused(tmp_path, path):
    write(tmp_path, path, "")
    done = layers(tmp_path)
    assert done.returncode == 1
    assert "in no layer" in done.stdout


def test_a_missing_folder_is_refused(tmp_path):
    assert layers(tmp_path / "none").returncode == 1
