/* test_config_errors.c: config_parse refuses: a wrong file for each error, and the exact text. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A file that would load; `bad` rows replace one of its parts. Lines 1..3, 4..6, 7..10. */
#define PROFILES                     \
    "client-ssl-profiles:\n"         \
    "  - {name: web, default: on,\n" \
    "     certificates: [{chain: c.pem, key: c.key}]}\n"
#define POOLS         \
    "pools:\n"        \
    "  - name: app\n" \
    "    members: ['127.0.0.1:8080']\n"
#define VSERVERS                       \
    "virtual-servers:\n"               \
    "  - name: https\n"                \
    "    listen: ['127.0.0.1:8443']\n" \
    "    profiles: [web]\n"            \
    "    pool: app\n"

/* With one more line in the section's (only) entry: the profile's is line 4, the pool's 7. */
#define PROFILE_WITH(line)   \
    "client-ssl-profiles:\n" \
    "  - name: web\n"        \
    "    default: on\n"      \
    "    " line "\n"         \
    "    certificates:\n"    \
    "      - chain: c.pem\n" \
    "        key: c.key\n" POOLS VSERVERS
#define POOL_WITH(line) PROFILES POOLS "    " line "\n" VSERVERS

#define SIXTY_FOUR "0123456789012345678901234567890123456789012345678901234567890123"

struct bad {
    const char *what;
    const char *text;
    const char *error;
};

static const struct bad bads[] = {
    /* YAML itself */
    { "empty", "",
      "t.conf:1: the file is empty, expected at least client-ssl-profiles, pools and "
      "virtual-servers" },
    { "only a comment", "# nothing\n",
      "t.conf:1: the file is empty, expected at least client-ssl-profiles, pools and "
      "virtual-servers" },
    { "not YAML", "workers: 2\nlog: [\n",
      "t.conf:3: not valid YAML: did not find expected node content while parsing a flow node (a "
      "value that begins with '[', '{', '*' or '&' needs quotes)" },
    { "a tab", "log:\n\tformat: json\n",
      "t.conf:2: not valid YAML: found character that cannot start any token while scanning for "
      "the next token" },
    { "not UTF-8", "user: \xff\xfe\xfd\n",
      "t.conf:1: not valid YAML: invalid leading UTF-8 octet" },
    { "a list", "- workers\n",
      "t.conf:1: the file is not made of directives, expected 'name: value'" },
    { "a text", "workers\n",
      "t.conf:1: the file is not made of directives, expected 'name: value'" },
    { "a second document", PROFILES POOLS VSERVERS "---\nworkers: 2\n",
      "t.conf:12: a second document begins, expected one" },
    { "an alias", "user: &u reprise\nkey-log: *u\n",
      "t.conf:2: an alias (*...), which is not supported; write it out" },
    { "a merge key", "log: &l\n  rate: 1\nticket-keys:\n  <<: *l\n",
      "t.conf:4: an alias (*...), which is not supported; write it out" },
    { "a tag", "workers: !!int 2\n", "t.conf:1: a tag (!...), which has no meaning here" },
    { "a tag on a section", "log: !log\n  rate: 1\n",
      "t.conf:1: a tag (!...), which has no meaning here" },
    { "a tag on a list", "pools: !p [a]\n", "t.conf:1: a tag (!...), which has no meaning here" },
    { "a section as a key", "? {a: b}\n: c\n",
      "t.conf:1: a list or section where a directive's name was expected" },
    { "a NUL", "user: \"a\\0b\"\n",
      "t.conf:1: a value has a control character or a line break in it, expected one line of "
      "text" },
    { "a line break", "user: |\n  a\n  b\n",
      "t.conf:1: a value has a control character or a line break in it, expected one line of "
      "text" },
    { "too deep", "pools: [[[[[[[[a]]]]]]]]\n",
      "t.conf:1: sections and lists stand too deep in one another, expected at most 8 levels" },

    /* names and shapes of directives */
    { "an unknown directive", "worker: 2\n",
      "t.conf:1: unknown directive 'worker' in the file, did you mean 'workers'?" },
    { "an unknown directive of a profile", PROFILE_WITH("cach-size: 1"),
      "t.conf:4: unknown directive 'cach-size' in client-ssl-profiles, did you mean "
      "'cache-size'?" },
    { "a directive with nothing near", "log:\n  colour: red\n",
      "t.conf:2: unknown directive 'colour' in log, expected format, file or rate" },
    { "an unknown directive that is long",
      "log:\n  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz: 1\n",
      "t.conf:2: unknown directive "
      "'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx...' in log, "
      "expected format, file or rate" },
    { "in the wrong case", "Workers: 2\n",
      "t.conf:1: unknown directive 'Workers' in the file, did you mean 'workers'?" },
    { "a directive of another section", PROFILES POOLS VSERVERS "cache-size: 1\n",
      "t.conf:12: unknown directive 'cache-size' in the file, expected workers, user, "
      "control-socket, drain-timeout, max-connections, replay-register, key-log, log, ticket-keys, "
      "client-ssl-profiles, pools or virtual-servers" },
    { "a directive twice", "workers: 2\nuser: a\nworkers: 3\n",
      "t.conf:3: 'workers' stands twice, expected once; the first is on line 1" },
    { "a section twice", PROFILES POOLS VSERVERS POOLS,
      "t.conf:12: 'pools' stands twice, expected once; the first is on line 4" },
    { "no value", "workers:\n", "t.conf:1: 'workers' has no value, expected one value" },
    { "an empty value", "user: ''\n", "t.conf:1: 'user' has no value, expected one value" },
    { "a list for a value", "workers: [2]\n", "t.conf:1: 'workers' is a list, expected one value" },
    { "a value for a list", PROFILE_WITH("alpn: http/1.1"),
      "t.conf:4: 'alpn' is one value, expected a list, such as [a, b]" },
    { "a value for a section", "log: json\n",
      "t.conf:1: 'log' is one value, expected a section with directives of its own" },
    { "an empty section", "log:\nworkers: 2\n",
      "t.conf:1: 'log' has no value, expected a section with directives of its own" },
    { "a section for sections", "pools:\n  name: app\n",
      "t.conf:1: 'pools' is a section, expected a list of sections, each with '- ' before its "
      "first directive" },
    { "a text in a list of sections", "pools:\n  - app\n",
      "t.conf:2: an entry of 'pools' is not a section, expected directives" },
    { "an IPv6 address without quotes",
      PROFILES POOLS VSERVERS "  - name: two\n    listen:\n      - [::1]:443\n",
      "t.conf:14: not valid YAML: did not find expected node content while parsing a flow node (a "
      "value that begins with '[', '{', '*' or '&' needs quotes)" },
    { "a wildcard without quotes", PROFILE_WITH("server-names: [*.example.com]"),
      "t.conf:4: not valid YAML: did not find expected alphabetic or numeric character while "
      "scanning an alias (a value that begins with '[', '{', '*' or '&' needs quotes)" },
    { "a list in a list", PROFILE_WITH("alpn: [[h2]]"),
      "t.conf:4: an entry of 'alpn' is not one value, expected plain text (in quotes where it "
      "begins with '[' or '*')" },
    { "an empty entry of a list", PROFILE_WITH("alpn: [h2, '']"),
      "t.conf:4: an entry of 'alpn' is not one value, expected plain text (in quotes where it "
      "begins with '[' or '*')" },

    /* what must be there */
    { "no profiles", POOLS VSERVERS, "t.conf:1: 'client-ssl-profiles' is missing in the file" },
    { "no pools", PROFILES VSERVERS, "t.conf:1: 'pools' is missing in the file" },
    { "no virtual servers", PROFILES POOLS, "t.conf:1: 'virtual-servers' is missing in the file" },
    { "an empty list of virtual servers", PROFILES POOLS "virtual-servers: []\n",
      "t.conf:7: 'virtual-servers' has 0 entries, expected 1..100000 virtual servers" },
    { "a profile without a name", "client-ssl-profiles:\n  - default: on\n",
      "t.conf:2: 'name' is missing in client-ssl-profiles" },
    { "a profile without certificates", "client-ssl-profiles:\n  - name: a\n    default: on\n",
      "t.conf:2: 'certificates' is missing in client-ssl-profiles" },
    { "no certificate", "client-ssl-profiles:\n  - name: a\n    certificates: []\n",
      "t.conf:3: 'certificates' has 0 entries, expected 1..16 certificates" },
    { "a certificate without its key",
      "client-ssl-profiles:\n  - name: a\n    certificates:\n    - chain: c.pem\n",
      "t.conf:4: 'key' is missing in certificates" },
    { "a certificate without its chain",
      "client-ssl-profiles:\n  - name: a\n    certificates:\n    - key: c.key\n",
      "t.conf:4: 'chain' is missing in certificates" },
    { "a virtual server without an address",
      PROFILES POOLS "virtual-servers:\n  - name: a\n    profiles: [web]\n    pool: app\n",
      "t.conf:8: 'listen' is missing in virtual-servers" },
    { "a virtual server without profiles",
      PROFILES POOLS "virtual-servers:\n  - name: a\n    listen: ['[::1]:1']\n    pool: app\n",
      "t.conf:8: 'profiles' is missing in virtual-servers" },
    { "a virtual server without a pool",
      PROFILES POOLS
      "virtual-servers:\n  - name: a\n    listen: ['[::1]:1']\n    profiles: [web]\n",
      "t.conf:8: 'pool' is missing in virtual-servers" },
    { "an empty listen",
      PROFILES POOLS
      "virtual-servers:\n  - name: a\n    listen: []\n    profiles: [web]\n    pool: app\n",
      "t.conf:9: 'listen' has 0 entries, expected 1..100000 addresses" },
    { "an empty list of protocols", PROFILE_WITH("protocols: []"),
      "t.conf:4: 'protocols' has 0 entries, expected 1..2 protocols" },

    /* values */
    { "not a number", "workers: many\n",
      "t.conf:1: workers: 'many' is not a number, expected auto or 0..1024 processes" },
    { "a negative number", "workers: -1\n",
      "t.conf:1: workers: '-1' is not a number, expected auto or 0..1024 processes" },
    { "a number with a tail", PROFILE_WITH("cache-size: 10k"),
      "t.conf:4: cache-size: '10k' is not a number, expected 0..4194304 sessions" },
    { "a number above the bound", PROFILE_WITH("cache-size: 4194305"),
      "t.conf:4: cache-size: '4194305' is out of bounds, expected 0..4194304 sessions" },
    { "a number below the bound", POOL_WITH("health-fall: 0"),
      "t.conf:7: health-fall: '0' is out of bounds, expected 1..100 checks" },
    { "a number of 2^64", PROFILE_WITH("cache-size: 18446744073709551616"),
      "t.conf:4: cache-size: '18446744073709551616' is not a number, expected 0..4194304 "
      "sessions" },
    { "a number of 2^32", PROFILE_WITH("cache-size: 4294967296"),
      "t.conf:4: cache-size: '4294967296' is out of bounds, expected 0..4194304 sessions" },
    { "not a duration", "drain-timeout: long\n",
      "t.conf:1: drain-timeout: 'long' is not a duration, expected 0s..24h, such as 10s, 5m or "
      "1h" },
    { "a duration with a space", PROFILE_WITH("idle-timeout: 5 m"),
      "t.conf:4: idle-timeout: '5 m' is not a duration, expected 10ms..7d, such as 10s, 5m or "
      "1h" },
    { "a duration above the bound", PROFILE_WITH("cache-timeout: 86401"),
      "t.conf:4: cache-timeout: '86401' is out of bounds, expected 0s..24h, such as 10s, 5m or "
      "1h" },
    { "a ticket that outlives RFC 8446 (R21)", PROFILE_WITH("ticket-timeout: 604801s"),
      "t.conf:4: ticket-timeout: '604801s' is out of bounds, expected 1s..7d, such as 10s, 5m or "
      "1h" },
    { "a lineage of more than a week (R21)", PROFILE_WITH("max-lineage: 8d"),
      "t.conf:4: max-lineage: '8d' is out of bounds, expected 1s..7d, such as 10s, 5m or 1h" },
    { "a ticket key of more than a week (R36)", "ticket-keys:\n  encrypt-for: 8d\n",
      "t.conf:2: encrypt-for: '8d' is out of bounds, expected 1s..7d, such as 10s, 5m or 1h" },
    { "a ticket key that opens for no time", "ticket-keys: {decrypt-for: 0}\n",
      "t.conf:1: decrypt-for: '0' is out of bounds, expected auto or 1s..7d, such as 10s, 5m or "
      "1h" },
    { "a ticket key that neither opens nor is automatic", "ticket-keys: {decrypt-for: none}\n",
      "t.conf:1: decrypt-for: 'none' is not a duration, expected auto or 1s..7d, such as 10s, 5m "
      "or 1h" },
    { "a fraction of a second", PROFILE_WITH("cache-timeout: 1500ms"),
      "t.conf:4: cache-timeout: '1500ms' is not a whole number of seconds, expected 0s..24h, such "
      "as 10s, 5m or 1h" },
    { "not a switch", PROFILE_WITH("session-cache: maybe"),
      "t.conf:4: session-cache: 'maybe' is not a switch, expected on or off" },
    { "an unknown word", POOL_WITH("balance: random"),
      "t.conf:7: balance: 'random' is not known, expected round-robin or least-connections" },
    { "a word that is nearly one", POOL_WITH("balance: least-connection"),
      "t.conf:7: balance: 'least-connection' is not known, did you mean 'least-connections'?" },
    { "an unknown protocol", PROFILE_WITH("protocols: [tls1.2, sslv3]"),
      "t.conf:4: protocols: 'sslv3' is not known, expected tls1.2 or tls1.3" },
    { "a protocol twice", PROFILE_WITH("protocols: [tls1.2, tls1.2]"),
      "t.conf:4: protocols 'tls1.2' stands twice, expected once; the first is on line 4" },
    { "an unknown group", PROFILE_WITH("groups: [X25519, secp256r1]"),
      "t.conf:4: groups: 'secp256r1' is not known, expected X25519MLKEM768, SecP256r1MLKEM768, "
      "SecP384r1MLKEM1024, X25519, P-256, P-384 or P-521" },
    { "a group twice", PROFILE_WITH("groups: [X25519, X25519]"),
      "t.conf:4: groups 'X25519' stands twice, expected once; the first is on line 4" },
    { "an ALPN name twice", PROFILE_WITH("alpn: [h2, h2]"),
      "t.conf:4: alpn 'h2' stands twice, expected once; the first is on line 4" },
    { "an ALPN name of 256 bytes",
      PROFILE_WITH("alpn: [" SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR "]"),
      "t.conf:4: alpn: '" SIXTY_FOUR "012345678901...' is too long, expected names of at most 255 "
      "bytes, such as http/1.1" },
    { "a name with a space", PROFILES "pools:\n  - name: my pool\n",
      "t.conf:5: name: 'my pool' is not a name, expected at most 63 letters, digits, dots, hyphens "
      "and underscores, beginning with a letter or digit" },
    { "a long name",
      PROFILES "pools:\n  - name: "
               "a123456789012345678901234567890123456789012345678901234567890123\n",
      "t.conf:5: name: 'a123456789012345678901234567890123456789012345678901234567890123' is too "
      "long, expected at most 63 letters, digits, dots, hyphens and underscores, beginning with a "
      "letter or digit" },
    { "a long user", "user: a12345678901234567890123456789012\n",
      "t.conf:1: user: 'a12345678901234567890123456789012' is too long, expected at most 32 "
      "characters" },
    { "a long path of a socket",
      "control-socket: /run/"
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "123456789123\n",
      "t.conf:1: control-socket: "
      "'/run/01234567890123456789012345678901234567890123456789012345678901234567890...' is too "
      "long, expected auto, none or a path of at most 107 bytes" },
    { "a listen address without a port",
      PROFILES POOLS VSERVERS "  - name: two\n    listen: [127.0.0.1]\n",
      "t.conf:13: listen: '127.0.0.1' is not a numeric address with a port, expected addresses "
      "such as 127.0.0.1:443, [::1]:443, or 0.0.0.0:443 and [::]:443 for all" },
    { "a listen address with a name",
      PROFILES POOLS VSERVERS "  - name: two\n    listen: ['localhost:443']\n",
      "t.conf:13: listen: 'localhost:443' is not a numeric address with a port, expected addresses "
      "such as 127.0.0.1:443, [::1]:443, or 0.0.0.0:443 and [::]:443 for all" },
    { "a listen address with a star",
      PROFILES POOLS VSERVERS "  - name: two\n    listen: ['*:443']\n",
      "t.conf:13: listen: '*:443' is not a numeric address with a port, expected addresses such as "
      "127.0.0.1:443, [::1]:443, or 0.0.0.0:443 and [::]:443 for all" },
    { "a member without a port", PROFILES "pools:\n  - name: a\n    members: [10.0.0.1]\n",
      "t.conf:6: members: '10.0.0.1' is not a numeric address with a port, expected addresses such "
      "as 192.0.2.1:8080 or [2001:db8::1]:8080" },
    { "a member with port 0", PROFILES "pools:\n  - name: a\n    members: ['10.0.0.1:0']\n",
      "t.conf:6: members: '10.0.0.1:0' has port 0, expected addresses such as 192.0.2.1:8080 or "
      "[2001:db8::1]:8080" },
    { "a server name that is none", PROFILE_WITH("server-names: [a..b]"),
      "t.conf:4: server-names: 'a..b' is not a host name, expected host names such as "
      "www.example.com or *.example.com" },
    { "a wildcard in the middle", PROFILE_WITH("server-names: [a.*.example.com]"),
      "t.conf:4: server-names: 'a.*.example.com' has a '*' that is not the whole leftmost label, "
      "expected host names such as www.example.com or *.example.com" },
    { "a second line's server name",
      PROFILE_WITH("server-names:\n    - a.example.com\n    - b_.example.com\n    - -c"),
      "t.conf:7: server-names: '-c' is not a host name, expected host names such as "
      "www.example.com or *.example.com" },

    /* one value and another */
    { "a server name twice in a profile",
      PROFILE_WITH("server-names:\n    - a.example.com\n    - A.Example.com."),
      "t.conf:6: server-names 'a.example.com' stands twice, expected once; the first is on line "
      "5" },
    { "a profile that serves nobody",
      "client-ssl-profiles:\n  - name: a\n    certificates: [{chain: c, key: k}]\n",
      "t.conf:2: client-ssl-profile 'a' serves nobody, expected server-names or 'default: on'" },
    { "client certificates without authorities (R4)", PROFILE_WITH("client-certificate: require"),
      "t.conf:4: client-certificate without client-ca, expected the authorities to verify "
      "against" },
    { "asking for client certificates without authorities (R4)",
      PROFILE_WITH("client-certificate: request"),
      "t.conf:4: client-certificate without client-ca, expected the authorities to verify "
      "against" },
    { "authorities, and clients that are not asked (R4)", PROFILE_WITH("client-ca: ca.pem"),
      "t.conf:4: client-ca without client-certificate, expected 'client-certificate: request' or "
      "'require'" },
    { "revocation lists without authorities (R4)", PROFILE_WITH("client-crl: crl.pem"),
      "t.conf:4: client-crl without client-ca, expected the authorities that made the lists" },
    { "members and a demonstration", POOL_WITH("demonstration: on"),
      "t.conf:7: pool 'app' has both members and 'demonstration: on', expected one of them" },
    { "a pool of nobody", PROFILES "pools:\n  - name: app\n    balance: round-robin\n" VSERVERS,
      "t.conf:5: pool 'app' has no members, expected members or 'demonstration: on'" },
    { "a pool of nobody, said so", PROFILES "pools:\n  - name: app\n    members: []\n" VSERVERS,
      "t.conf:5: pool 'app' has no members, expected members or 'demonstration: on'" },
    { "a member twice",
      PROFILES "pools:\n  - name: a\n    members:\n    - '[::1]:80'\n    - '[0:0::1]:80'\n",
      "t.conf:8: member '[::1]:80' stands twice, expected once; the first is on line 7" },
    { "a profile's name twice",
      "client-ssl-profiles:\n"
      "  - {name: a, default: on, certificates: [{chain: c, key: k}]}\n"
      "  - {name: a, default: on, certificates: [{chain: c, key: k}]}\n",
      "t.conf:3: client-ssl-profile 'a' stands twice, expected once; the first is on line 2" },
    { "a pool's name twice",
      PROFILES "pools:\n  - {name: a, demonstration: on}\n  - {name: b, demonstration: on}\n"
               "  - {name: a, demonstration: on}\n",
      "t.conf:7: pool 'a' stands twice, expected once; the first is on line 5" },
    { "a virtual server's name twice",
      PROFILES POOLS VSERVERS
      "  - {name: https, listen: ['[::1]:8443'], profiles: [web], pool: app}\n",
      "t.conf:12: virtual server 'https' stands twice, expected once; the first is on line 8" },
    { "an unknown profile",
      PROFILES POOLS
      "virtual-servers:\n  - {name: a, listen: ['[::1]:1'], pool: app, profiles: [other]}\n",
      "t.conf:8: there is no client-ssl-profile 'other', expected the name of one in "
      "client-ssl-profiles" },
    { "a profile that is nearly one",
      PROFILES POOLS "virtual-servers:\n  - {name: a, listen: ['[::1]:1'], pool: app,\n"
                     "     profiles: [wep]}\n",
      "t.conf:9: there is no client-ssl-profile 'wep', did you mean 'web'?" },
    { "a profile twice",
      PROFILES POOLS
      "virtual-servers:\n  - {name: a, listen: ['[::1]:1'], pool: app, profiles: [web, web]}\n",
      "t.conf:8: profiles 'web' stands twice, expected once; the first is on line 8" },
    { "an unknown pool",
      PROFILES POOLS
      "virtual-servers:\n  - {name: a, listen: ['[::1]:1'], profiles: [web], pool: application}\n",
      "t.conf:8: there is no pool 'application', expected the name of one in pools" },
    { "an address twice",
      PROFILES POOLS VSERVERS "  - name: two\n    profiles: [web]\n    pool: app\n"
                              "    listen:\n      - '127.0.0.2:8443'\n      - '127.0.0.1:8443'\n",
      "t.conf:17: listen address '127.0.0.1:8443' stands twice, expected once; the first is on "
      "line 9" },
    { "two default profiles (R8)",
      "client-ssl-profiles:\n"
      "  - {name: a, default: on, certificates: [{chain: c, key: k}]}\n"
      "  - {name: b, default: on, certificates: [{chain: c, key: k}]}\n" POOLS "virtual-servers:\n"
      "  - name: https\n    listen: ['127.0.0.1:8443']\n    pool: app\n    profiles: [a, b]\n",
      "t.conf:11: virtual server 'https' has two default profiles, 'a' (line 2) and 'b' (line 3), "
      "expected at most one" },
    { "a ticket-key file twice",
      PROFILES POOLS VSERVERS "ticket-keys:\n  files:\n    - a.key\n    - b.key\n    - a.key\n",
      "t.conf:16: files 'a.key' stands twice, expected once; the first is on line 14" },
    { "a state file without a key",
      PROFILES POOLS VSERVERS "ticket-keys:\n  encrypt-for: 1h\n  state-file: s\n",
      "t.conf:14: ticket-keys: state-file or state-key without the other, expected both" },
    { "a state file's key without the file",
      PROFILES POOLS VSERVERS "ticket-keys:\n  state-key: k\n",
      "t.conf:13: ticket-keys: state-file or state-key without the other, expected both" },
    { "keys from files and a state file",
      PROFILES POOLS VSERVERS "ticket-keys:\n  files: [a]\n  state-file: s\n  state-key: k\n",
      "t.conf:14: ticket-keys: both files and state-file, expected one of them: files keep their "
      "keys" },
    { "two files of HAProxy's",
      PROFILES POOLS VSERVERS "ticket-keys:\n  format: haproxy\n  files: [a, b]\n",
      "t.conf:14: ticket-keys: 2 files with 'format: haproxy', expected one" },
    { "no file of HAProxy's", PROFILES POOLS VSERVERS "ticket-keys:\n  format: haproxy\n",
      "t.conf:12: ticket-keys: 0 files with 'format: haproxy', expected one" },
    { "a ticket that outlives its key (R36)",
      PROFILE_WITH("session-tickets: on\n    ticket-timeout: 2h") "ticket-keys:\n  encrypt-for: "
                                                                  "1h\n  decrypt-for: 90m\n",
      "t.conf:19: decrypt-for: '90m' is shorter than the ticket-timeout of client-ssl-profile "
      "'web' (line 2), expected at least 2h or auto" },
    { "a ticket key that lives for more than a week (R36)",
      PROFILES POOLS VSERVERS "ticket-keys:\n  decrypt-for: 5d\n  encrypt-for: 86401s\n",
      "t.conf:14: ticket-keys: a key would live for 604802s (twice encrypt-for, and decrypt-for, "
      "which is 5d), expected at most 7d" },
    { "a ticket key that lives for more than a week for a ticket's sake (R36)",
      PROFILE_WITH("ticket-timeout: 7d"),
      "t.conf:1: ticket-keys: a key would live for 170h (twice encrypt-for, and decrypt-for, which "
      "is 7d), expected at most 7d" },
    { "a server name of two profiles (R10)",
      "client-ssl-profiles:\n"
      "  - {name: a, server-names: [x.example.com], certificates: [{chain: c, key: k}]}\n"
      "  - name: b\n"
      "    certificates: [{chain: c, key: k}]\n"
      "    server-names:\n      - y.example.com\n      - X.EXAMPLE.COM\n" POOLS "virtual-servers:\n"
      "  - name: https\n    listen: ['127.0.0.1:8443']\n    pool: app\n    profiles: [a, b]\n",
      "t.conf:7: server name 'x.example.com' stands twice, expected once; the first is on line "
      "2" },
};

static void refuses(void **state) {
    const struct bad *bad = *state;
    struct err err = { 0 };
    struct config *config = config_parse("t.conf", bad->text, strlen(bad->text), &err);
    assert_null(config);
    assert_string_equal(err.text, bad->error);
}

int main(void) {
    struct CMUnitTest tests[LENGTH(bads)];
    for (size_t i = 0; i < LENGTH(bads); i++) {
        tests[i] = (struct CMUnitTest){
            .name = bads[i].what,
            .test_func = refuses,
            .initial_state = (void *)(uintptr_t)&bads[i],
        };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
