"""The terminator's log lines, logfmt or JSON, as dicts of texts."""

import json


class LogError(Exception):
    """A line of the log is in neither form."""


def parse_logfmt(line):
    """`key=value key="quoted \\"value\\""` as a dict."""
    found, at = {}, 0
    while at < len(line):
        equals = line.find("=", at)
        if equals < 0 or " " in line[at:equals] or '"' in line[at:equals] or equals == at:
            raise LogError(f"no key at {at}: {line!r}")
        key = line[at:equals]
        if key in found:
            raise LogError(f"{key} twice: {line!r}")
        at = equals + 1
        if line[at : at + 1] == '"':
            try:
                value, length = json.JSONDecoder().raw_decode(line[at:])
            except ValueError as error:
                raise LogError(f"a bad quoted value: {line!r}") from error
            at += length
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            value = line[at:end]
            if '"' in value or "=" in value:
                raise LogError(f"a value that needs quotes: {line!r}")
            at = end
        found[key] = value
        if at < len(line):
            if line[at] != " ":
                raise LogError(f"no space at {at}: {line!r}")
            at += 1
    return found


def parse_json(line):
    try:
        found = json.loads(line)
    except ValueError as error:
        raise LogError(f"not JSON: {line!r}") from error
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
    }


def parse_line(line):
    return parse_json(line) if line.startswith("{") else parse_logfmt(line)
