"""Configurations as Python structures, and the YAML that the terminator reads.

Keywords are directives with "_" for "-": `profile(certs, cache_timeout="2s")`. A value of
None leaves a directive out.
"""

import yaml

SERVER_NAMES = ["www.example.com", "*.wild.example.com"]


class _Dumper(yaml.SafeDumper):
    """Writes booleans as on and off."""


_Dumper.add_representer(
    bool,
    lambda dumper, value: dumper.represent_scalar(
        "tag:yaml.org,2002:bool", "on" if value else "off"
    ),
)


def to_yaml(config):
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=200)


def directives(**given):
    return {
        key.replace("_", "-"): str(value) if hasattr(value, "__fspath__") else value
        for key, value in given.items()
        if value is not None
    }


def profile(*pairs, name="web", cache=True, tickets=False, default=True, **more):
    """A client-SSL profile with the certificates `pairs` (certs.Pair)."""
    more.setdefault("server_names", SERVER_NAMES)
    return directives(
        name=name,
        default=default,
        certificates=[pair.config() for pair in pairs],
        session_cache=cache,
        session_tickets=tickets,
        **more,
    )


def pool(*backends, name="app", **more):
    """A pool of backends (anything with an `address`), or of addresses."""
    members = [getattr(backend, "address", backend) for backend in backends]
    return directives(name=name, members=members, **more)


def demonstration(name="demo"):
    """The pool of the built-in backend."""
    return directives(name=name, demonstration=True)


def service(profiles, pools, listen="127.0.0.1:0", **more):
    """A whole configuration: one virtual server "https" with all the profiles, in front
    of the first pool."""
    profiles = profiles if isinstance(profiles, list) else [profiles]
    pools = pools if isinstance(pools, list) else [pools]
    more.setdefault("workers", 2)
    return directives(
        **more,
        client_ssl_profiles=profiles,
        pools=pools,
        virtual_servers=[
            {
                "name": "https",
                "listen": [listen] if isinstance(listen, str) else listen,
                "profiles": [p["name"] for p in profiles],
                "pool": pools[0]["name"],
            }
        ],
    )
