#!/usr/bin/python3
"""layers.py [FOLDER]: holds the layers of the source tree (src/ unless told).

A file includes its own folder and lower layers, by a path from src/. Neither a higher
layer nor a neighbour on the same one. The libraries behind one folder stay behind it.
Prints each include that breaks this, as file:line, and then exits 1.
"""
import re
import sys
from pathlib import Path

# The lowest first. docs/ARCHITECTURE.md tells what each folder does.
LAYERS = [
    ["base"],
    ["wire", "reason", "net"],
    ["config", "stats", "store"],
    ["resume"],
    ["tls", "capture"],
    ["proxy", "keeper", "admin", "load", "lab"],
    ["cmd"],
]
LEVEL = {folder: level for level, folders in enumerate(LAYERS) for folder in folders}

# Where the headers of a library may be included: the first pattern that fits tells.
LIBRARIES = [
    (r"openssl/(ssl|ssl3|tls1|dtls1|srtp)\.h", ["tls/"]),
    (r"openssl/.*", ["tls/", "base/crypto.c"]),
    (r"cyaml/.*|yaml\.h", ["config/"]),
]

INCLUDE = re.compile(r"^\s*#\s*(?:include|import)\b\s*(.*)")


def quoted_fault(folder, target):
    """What is wrong with a file of `folder` including "target", or None."""
    if "/" not in target or ".." in target.split("/"):
        return f'"{target}": an include is a path from src/'
    other = target.split("/")[0]
    if other not in LEVEL:
        return f'"{target}": no layer is called {other}'
    if target.endswith(".c"):
        return f'"{target}": a source file is not included'
    if other == folder or LEVEL[other] < LEVEL[folder]:
        return None
    kind = "a neighbour of" if LEVEL[other] == LEVEL[folder] else "above"
    return f'"{target}": {other} is {kind} {folder}'


def library_fault(path, target):
    """What is wrong with the file at `path` including <target>, or None."""
    for pattern, allowed in LIBRARIES:
        if re.fullmatch(pattern, target):
            if path.startswith(tuple(allowed)):
                return None
            return f"<{target}>: only for {' and '.join(allowed)}"
    return None


def file_faults(root, file):
    path = file.relative_to(root).as_posix()
    folder = path.split("/")[0]
    if folder not in LEVEL or "/" not in path:
        yield 1, f"{path} lies in no layer: add its folder to tools/layers.py"
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        include = INCLUDE.match(line)
        if not include:
            continue
        rest = include[1]
        if found := re.match(r'"([^"]*)"', rest):
            fault = quoted_fault(folder, found[1])
        elif found := re.match(r"<([^>]*)>", rest):
            fault = library_fault(path, found[1])
        else:
            fault = f"{rest}: an include by macro can't be checked"
        if fault:
            yield number, fault


def tree_faults(root):
    """Yields (file, line, fault) for the whole tree."""
    for file in sorted(root.rglob("*")):
        if file.suffix in (".c", ".h", ".def"):
            for number, fault in file_faults(root, file):
                yield file, number, fault


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "src")
    if not root.is_dir():
        sys.exit(f"{root}: no such folder")
    faults = list(tree_faults(root))
    for file, number, fault in faults:
        print(f"{file}:{number}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
