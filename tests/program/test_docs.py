"""The manual is what the program says of itself."""

import re
import shutil
import subprocess

import pytest
import yaml

from lab.terminator import TOP, run

PAGES = [
    "reprise.1",
    "reprise-run.1",
    "reprise-check.1",
    "reprise-ctl.1",
    "reprise-inspect.1",
    "reprise-bench.1",
    "reprise-lab.1",
    "reprise.conf.5",
    "reprise-reasons.7",
]


@pytest.fixture(scope="module")
def configuration():
    done = run("docs", "configuration")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def pages(tmp_path):
    done = run("docs", "man", tmp_path / "man")
    assert done.returncode == 0, done.stderr
    return tmp_path / "man"


def directives():
    """(section, name) of each row of directive.def."""
    table = (TOP / "src/config/directive.def").read_text()
    return re.findall(r'^([A-Z_]+)\((?:SCALAR|LIST|GROUP|TABLE), "([^"]+)"', table, re.M)


def bigip_names():
    """The names on BIG-IP in directive.def: the quoted field before a row's text."""
    table = (TOP / "src/config/directive.def").read_text()
    rows = re.split(r"^(?=[A-Z_]+\((?:SCALAR|LIST|GROUP|TABLE),)", table, flags=re.M)[1:]
    found = (re.search(r',\s*(?:NULL|WORDS_\w+),\s*"([^"]+)",\n', row) for row in rows)
    return [match.group(1) for match in found if match]


def test_configuration_md_is_what_the_program_prints(configuration):
    kept = (TOP / "docs/CONFIGURATION.md").read_text()
    assert kept == configuration, (
        "docs/CONFIGURATION.md is out of date: "
        "build/reprise docs configuration > docs/CONFIGURATION.md"
    )


def test_configuration_md_has_every_directive(configuration):
    assert len(directives()) > 40
    for _, name in directives():
        assert f"\n### `{name}`\n" in configuration


def test_the_example_is_a_configuration(configuration, certs, tmp_path):
    """It loads as it stands, but for the certificate and the privileged ports."""
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", configuration, re.S).group(1))
    pair = certs.ecdsa.config()
    shutil.copy(pair["chain"], tmp_path / "web.pem")
    shutil.copy(pair["key"], tmp_path / "web.key")
    file = tmp_path / "reprise.conf"
    file.write_text(re.search(r"```yaml\n(.*?)```", configuration, re.S).group(1))
    done = run("check", file)
    assert done.stderr == ""
    assert done.stdout == f"{file}: ok, 1 virtual server, 1 profile, 1 pool\n"
    assert example["virtual-servers"][0]["pool"] == "app"


def test_bigip_md_has_every_name_of_the_table():
    text = (TOP / "docs/BIGIP.md").read_text()
    names = bigip_names()
    assert len(names) > 20
    for name in names:
        assert f"`{name}`" in text


def test_bigip_md_names_only_directives_that_exist():
    text = (TOP / "docs/BIGIP.md").read_text()
    known = {name for _, name in directives()}
    ours = re.findall(r"^\|[^|]*\|[^|]*\| ([^|]*) \|", text, re.M)[2:]
    named = [name for cell in ours for name in re.findall(r"`([a-z0-9-]+)(?:: [^`]*)?`", cell)]
    assert len(named) > 20
    for name in named:
        assert name in known, name


@pytest.mark.parametrize("page", PAGES)
def test_manual_page_is_there(pages, page):
    assert (pages / page).read_text().startswith('.\\" Made by')
    assert sorted(p.name for p in pages.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_manual_page_formats_without_a_warning(pages, page):
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", pages / page],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout


def test_manual_of_the_configuration_has_every_directive(pages):
    text = (pages / "reprise.conf.5").read_text()
    for _, name in directives():
        assert "\n\\fB" + name.replace("-", "\\-") + "\\fR\n" in text


def test_manual_of_the_reasons_has_every_reason(pages):
    text = (pages / "reprise-reasons.7").read_text()
    words = re.findall(
        r'^REASON\([A-Z_]+, "([^"]+)"', (TOP / "src/reason/reason.def").read_text(), re.M
    )
    assert len(words) > 10
    for word in words:
        assert "\n\\fB" + word.replace("-", "\\-") + "\\fR\n" in text


@pytest.mark.parametrize("args", [[], ["man"], ["html"], ["man", "a", "b"], ["configuration", "a"]])
def test_wrong_usage(args):
    done = run("docs", *args)
    assert done.returncode == 2
    assert "expected 'man DIR' or 'configuration'" in done.stderr


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "man").write_text("a file")
    done = run("docs", "man", tmp_path / "man")
    assert done.returncode == 1
    assert f"cannot write {tmp_path}/man/reprise.1: Not a directory" in done.stderr
