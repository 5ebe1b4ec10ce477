/* act.c: the acts, see act.h. */
#include "lab/act.h"

enum {
    SCENE_STATEFUL,
    SCENE_STATELESS,
    SCENE_TLS13_STATELESS,
    SCENE_TLS13_STATEFUL,
    SCENE_EXPIRED,
    SCENE_ROTATED,
    SCENE_NAME,
    SCENE_CACHE_OFF,
    SCENE_FALLBACK,
    SCENE_INVALIDATED,
    SCENE_RENEGOTIATION,
};

#define TLS12 0x0303
#define TLS13 0x0304

const struct lab_scene lab_scenes[] = {
    [SCENE_STATEFUL] = { .name = "stateful",
                         .title = "Stateful: the server keeps the session",
                         .file = "ssl-sample-session-ticket-disabled.pcap",
                         .version = TLS12,
                         .cache = true },
    [SCENE_STATELESS] = { .name = "stateless",
                          .title = "Stateless: the client keeps the session in a ticket",
                          .file = "ssl-sample-session-ticket-enabled-2.pcap",
                          .version = TLS12,
                          .tickets = true },
    [SCENE_TLS13_STATELESS] = { .name = "tls13-stateless",
                                .title = "TLS 1.3, stateless",
                                .file = "tls13-stateless.pcap",
                                .version = TLS13,
                                .tickets = true },
    [SCENE_TLS13_STATEFUL] = { .name = "tls13-stateful",
                               .title = "TLS 1.3, stateful",
                               .file = "tls13-stateful.pcap",
                               .version = TLS13,
                               .cache = true },
    [SCENE_EXPIRED] = { .name = "expired",
                        .title = "Refused: the ticket has expired",
                        .file = "refused-expired.pcap",
                        .version = TLS12,
                        .tickets = true,
                        .ticket_timeout_s = 1 },
    [SCENE_ROTATED] = { .name = "rotated-key",
                        .title = "Refused: the ticket's key was rotated out",
                        .file = "refused-rotated-key.pcap",
                        .version = TLS12,
                        .tickets = true,
                        .ticket_timeout_s = 1,
                        .key_life_s = 1 },
    [SCENE_NAME] = { .name = "other-server-name",
                     .title = "Refused: another server name",
                     .file = "refused-other-server-name.pcap",
                     .version = TLS12,
                     .tickets = true },
    [SCENE_CACHE_OFF] = { .name = "cache-off",
                          .title = "Refused: the cache was switched off",
                          .file = "refused-cache-off.pcap",
                          .version = TLS12,
                          .cache = true },
    [SCENE_FALLBACK] = { .name = "fallback",
                         .title = "Fallback: from the ticket to the cache",
                         .file = "fallback-to-stateful.pcap",
                         .version = TLS12,
                         .cache = true,
                         .tickets = true },
    [SCENE_INVALIDATED] = { .name = "invalidated",
                            .title = "Refused: invalidated by the operator",
                            .file = "refused-invalidated.pcap",
                            .version = TLS12,
                            .cache = true },
    [SCENE_RENEGOTIATION] = { .name = "renegotiation",
                              .title = "Renegotiation is something else",
                              .file = "renegotiation.pcap",
                              .version = TLS12,
                              .cache = true },
};
const size_t lab_scene_count = sizeof(lab_scenes) / sizeof(lab_scenes[0]);

#define VISIT(...) \
    { .verb = LAB_VISIT, .visit = (__VA_ARGS__) }
#define CTL(command) \
    { .verb = LAB_CTL, .text = (command) }
#define FIRST VISIT(LAB_VISIT_KEEP)
#define AGAIN VISIT(LAB_VISIT_OFFER)

const struct lab_act lab_acts[] = {
    { .name = "stateful-new",
      .title = "New session, stateful",
      .see = "Client sends an empty Session ID field and the server replies with a new Session ID. "
             "After that, full handshake proceeds normally where Certificate and Client Key "
             "Exchange are sent, and there is also the additional cost CPU-wise to compute the "
             "keys.",
      .scene = SCENE_STATEFUL,
      .steps = { FIRST },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(id_empty) | LAB_FACT(server_id_new) | LAB_FACT(ticket_not_confirmed) |
               LAB_FACT(ticket_none) | LAB_FACT(certificate),
      .log = { "new", "none", "", NULL, "session-id", "done" } },
    { .name = "stateful-reuse",
      .title = "Reusing the previous session, stateful",
      .see = "Client just sends the Session ID it previously learnt from the server (via Server "
             "Hello from the previous connection) on its Client Hello message. The server confirms "
             "that this Session ID is in its session cache, and they both go through what is known "
             "as abbreviated TLS handshake. No certificate or key information is exchanged, and "
             "previously negotiated keys are re-used.",
      .scene = SCENE_STATEFUL,
      .steps = { AGAIN },
      .verdict = VERDICT_RESUMED_SESSION_ID,
      .facts = LAB_FACT(id_sent) | LAB_FACT(id_known) | LAB_FACT(server_id_same) |
               LAB_FACT(no_certificate),
      .log = { "resumed", "session-id", "session-id", "", NULL, "done" } },
    { .name = "stateless-new",
      .title = "New session, stateless",
      .see = "Client first signals it supports stateless session resumption by adding the "
             "SessionTicket TLS extension to its Client Hello message. The server signals back by "
             "adding an empty SessionTicket extension. Notice that Session ID is NOT used here! "
             "Just before the handshake is completed (with Finished message), the server sends a "
             "new TLS message called New Session Ticket, which consists of encrypted session "
             "information that only the server is able to decrypt later.",
      .scene = SCENE_STATELESS,
      .steps = { FIRST },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(id_empty) | LAB_FACT(ticket_signalled) | LAB_FACT(ticket_confirmed) |
               LAB_FACT(server_id_empty) | LAB_FACT(ticket_issued) | LAB_FACT(certificate),
      .log = { "new", "none", "", NULL, "ticket", "done" } },
    { .name = "stateless-reuse",
      .title = "Reusing the previous session, stateless",
      .see = "Client forwards the same session ticket in the SessionTicket TLS extension on its "
             "Client Hello message. Client also creates a new Session ID, used for the following "
             "purpose: when the server replies back with the same Session ID, it accepted the "
             "Session Ticket and is going to reuse the session; when it replies with an empty or "
             "different Session ID, it decided to go through full handshake. Such a Session ID is "
             "NOT stored on the server: it is a one-off.",
      .scene = SCENE_STATELESS,
      .steps = { AGAIN },
      .verdict = VERDICT_RESUMED_TICKET,
      .facts = LAB_FACT(ticket_sent) | LAB_FACT(ticket_known) | LAB_FACT(id_sent) |
               LAB_FACT(server_id_same) | LAB_FACT(no_certificate),
      .log = { "resumed", "ticket", "ticket", "", NULL, "done" } },
    { .name = "tls13-stateless-new",
      .title = "New session in TLS 1.3, stateless",
      .see = "TLS 1.3 has one way to resume for both kinds: the PSK. The Session ID in the hello "
             "is a compatibility field that means nothing. The server sends its New Session "
             "Tickets after the handshake, encrypted: without the connection's secrets (FILE.keys) "
             "nobody else sees them. Each holds the whole session.",
      .scene = SCENE_TLS13_STATELESS,
      .steps = { FIRST },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(psk_none) | LAB_FACT(certificate) | LAB_FACT(tickets_two) |
               LAB_FACT(tickets_long),
      .log = { "new", "none", "", NULL, "psk", "done" } },
    { .name = "tls13-stateless-reuse",
      .title = "Reusing the session in TLS 1.3, stateless",
      .see = "Client offers the ticket as a PSK identity, in the last extension of its hello, and "
             "the server chooses it in its own. No Certificate is sent; a key exchange is, for "
             "forward secrecy, and so resumption saves less CPU than in TLS 1.2.",
      .scene = SCENE_TLS13_STATELESS,
      .steps = { AGAIN },
      .verdict = VERDICT_RESUMED_PSK,
      .facts = LAB_FACT(psk_sent) | LAB_FACT(ticket_known) | LAB_FACT(psk_chosen) |
               LAB_FACT(no_certificate),
      .log = { "resumed", "psk", "psk", "", NULL, "done" } },
    { .name = "tls13-stateful-new",
      .title = "New session in TLS 1.3, stateful",
      .see = "The same messages; but the session stays in the server's cache, and the ticket is no "
             "more than a handle to it: 32 random bytes, as the Session ID was.",
      .scene = SCENE_TLS13_STATEFUL,
      .steps = { FIRST },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(psk_none) | LAB_FACT(certificate) | LAB_FACT(ticket_issued) |
               LAB_FACT(tickets_handle),
      .log = { "new", "none", "", NULL, "psk-stateful", "done" } },
    { .name = "tls13-stateful-reuse",
      .title = "Reusing the session in TLS 1.3, stateful",
      .see = "On the wire a PSK as before, with a short identity. The server finds the session in "
             "its cache.",
      .scene = SCENE_TLS13_STATEFUL,
      .steps = { AGAIN },
      .verdict = VERDICT_RESUMED_PSK,
      .facts = LAB_FACT(psk_sent) | LAB_FACT(ticket_known) | LAB_FACT(psk_chosen) |
               LAB_FACT(no_certificate),
      .log = { "resumed", "psk-stateful", "psk-stateful", "", NULL, "done" } },
    { .name = "expired",
      .title = "The ticket has expired",
      .see = "Client offers its ticket after the time that the server gave it (ticket-timeout, "
             "here 1 s). Server replies with an empty Session ID: it decided to go through full "
             "handshake, because the Session Ticket expired, and issues a new one.",
      .scene = SCENE_EXPIRED,
      .steps = { FIRST, { .verb = LAB_WAIT_S, .count = 2 }, AGAIN },
      .verdict = VERDICT_REFUSED_TICKET,
      .why = REASON_EXPIRED,
      .facts = LAB_FACT(ticket_sent) | LAB_FACT(ticket_known) | LAB_FACT(expired) |
               LAB_FACT(server_id_other) | LAB_FACT(certificate) | LAB_FACT(ticket_issued),
      .log = { "new", "ticket", "", "expired", "ticket", "done" } },
    { .name = "rotated-key",
      .title = "The ticket's key is gone",
      .see = "The server seals tickets with a key that it generates only for this purpose, and "
             "replaces it in time (encrypt-for and decrypt-for, here 1 s each). The ticket's first "
             "16 bytes are the key's name; the new ticket has another one. A key that is wiped "
             "opens nothing any more, whoever asks.",
      .scene = SCENE_ROTATED,
      .steps = { FIRST, { .verb = LAB_WAIT_WIPED }, AGAIN },
      .verdict = VERDICT_REFUSED_TICKET,
      .why = REASON_EXPIRED,
      .facts = LAB_FACT(ticket_sent) | LAB_FACT(ticket_known) | LAB_FACT(key_name_other) |
               LAB_FACT(server_id_other) | LAB_FACT(certificate),
      .log = { "new", "ticket", "", "retired-ticket-key", "ticket", "done" } },
    { .name = "other-server-name",
      .title = "Another server name",
      .see = "The ticket was issued under " LAB_NAME " and is offered for " LAB_OTHER_NAME ", "
             "which the same profile serves. The server opens it, and refuses (RFC 6066 3): a "
             "session belongs to the name that it was made under.",
      .scene = SCENE_NAME,
      .steps = { FIRST, VISIT(LAB_VISIT_OFFER | LAB_VISIT_OTHER_NAME) },
      .verdict = VERDICT_REFUSED_TICKET,
      .why = REASON_OTHER_SERVER_NAME,
      .facts = LAB_FACT(ticket_sent) | LAB_FACT(ticket_known) | LAB_FACT(name_other) |
               LAB_FACT(server_id_other) | LAB_FACT(certificate),
      .log = { "new", "ticket", "", "other-server-name", "ticket", "done" } },
    { .name = "cache-off",
      .title = "The session cache was unticked",
      .see = "Client sends the Session ID that it learnt, but session-cache has been unticked "
             "meanwhile (`reprise ctl profile`). Server replies with an empty Session ID: full "
             "handshake, and nothing to reuse the next time.",
      .scene = SCENE_CACHE_OFF,
      .steps = { FIRST, CTL("profile " LAB_PROFILE " session-cache off"), AGAIN },
      .verdict = VERDICT_REFUSED_SESSION_ID,
      .why = REASON_CACHE_OFF,
      .facts = LAB_FACT(id_sent) | LAB_FACT(id_known) | LAB_FACT(server_id_empty) |
               LAB_FACT(certificate) | LAB_FACT(ticket_none),
      .log = { "new", "session-id", "", "cache-off", "none", "done" } },
    { .name = "fallback",
      .title = "Falling back to stateful session resumption",
      .see =
          "Both boxes were ticked, and the client has a ticket; then session-tickets is unticked "
          "while running. Server replies with a different Session ID: it decided to go through "
          "full handshake because it is falling back to stateful session resumption.",
      .scene = SCENE_FALLBACK,
      .steps = { FIRST, CTL("profile " LAB_PROFILE " session-tickets off"),
                 VISIT(LAB_VISIT_OFFER | LAB_VISIT_KEEP) },
      .verdict = VERDICT_REFUSED_TICKET,
      .why = REASON_TICKETS_OFF,
      .facts = LAB_FACT(ticket_sent) | LAB_FACT(ticket_known) | LAB_FACT(ticket_not_confirmed) |
               LAB_FACT(server_id_other) | LAB_FACT(server_id_new) | LAB_FACT(ticket_none) |
               LAB_FACT(certificate),
      .log = { "new", "ticket", "", "tickets-off", "session-id", "done" } },
    { .name = "fallback-reuse",
      .title = "And resuming by the Session ID instead",
      .see = "The same client now sends that Session ID and no ticket, and the session is reused "
             "statefully.",
      .scene = SCENE_FALLBACK,
      .steps = { AGAIN },
      .verdict = VERDICT_RESUMED_SESSION_ID,
      .facts = LAB_FACT(id_sent) | LAB_FACT(id_known) | LAB_FACT(server_id_same) |
               LAB_FACT(ticket_signalled) | LAB_FACT(no_certificate),
      .log = { "resumed", "session-id", "session-id", "", NULL, "done" } },
    { .name = "invalidated",
      .title = "The operator has ended the session",
      .see = "The Session ID is the right one and its time is not over, but all sessions of the "
             "profile have been invalidated (`reprise ctl profile lab invalidate all`). On the "
             "wire nothing tells why; the log does. Server replies with a different Session ID.",
      .scene = SCENE_INVALIDATED,
      .steps = { FIRST, CTL("profile " LAB_PROFILE " invalidate all"), AGAIN },
      .verdict = VERDICT_REFUSED_SESSION_ID,
      .why = REASON_UNKNOWN_SESSION_ID,
      .facts = LAB_FACT(id_sent) | LAB_FACT(id_known) | LAB_FACT(server_id_other) |
               LAB_FACT(server_id_new) | LAB_FACT(certificate),
      .log = { "new", "session-id", "", "invalidated", "session-id", "done" } },
    { .name = "renegotiation-legacy",
      .title = "Renegotiation, legacy",
      .see = "Do not confuse session reuse with renegotiation. Renegotiation uses the same TCP "
             "connection to renegotiate security parameters, which does not involve Session ID or "
             "Session Tickets. Here the client sends a second Client Hello within the connection, "
             "encrypted, without RFC 5746's extension. The server refuses: it always does.",
      .scene = SCENE_RENEGOTIATION,
      .steps = { VISIT(LAB_VISIT_LEGACY) },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(second_hello) | LAB_FACT(no_second_offer) | LAB_FACT(legacy) |
               LAB_FACT(no_second_answer) | LAB_FACT(no_renegotiation),
      .log = { "new", "none", "", NULL, NULL, "renegotiation-refused" } },
    { .name = "renegotiation-secure",
      .title = "Renegotiation, secure",
      .see = "The same with RFC 5746's extension renegotiation_info, which binds the second "
             "handshake to the first by its verify_data. That makes renegotiation safe against "
             "the attack of 2009; this server refuses it all the same (TLS 1.3 has none).",
      .scene = SCENE_RENEGOTIATION,
      .steps = { VISIT(LAB_VISIT_SECURE) },
      .verdict = VERDICT_NEW,
      .facts = LAB_FACT(second_hello) | LAB_FACT(no_second_offer) | LAB_FACT(secure) |
               LAB_FACT(no_second_answer) | LAB_FACT(no_renegotiation),
      .log = { "new", "none", "", NULL, NULL, "renegotiation-refused" } },
};
const size_t lab_act_count = sizeof(lab_acts) / sizeof(lab_acts[0]);

_Static_assert(sizeof(lab_acts) / sizeof(lab_acts[0]) <= LAB_ACTS_MAX, "a set of acts has room");
_Static_assert(FACT_COUNT <= 64, "a set of facts has room");

unsigned lab_act_visits(const struct lab_act *act) {
    unsigned count = 0;
    for (const struct lab_step *step = act->steps; step->verb != LAB_END; step++) {
        count += step->verb == LAB_VISIT;
    }
    return count;
}

uint32_t lab_act_stream(const struct lab_act *act) {
    uint32_t before = 0;
    for (const struct lab_act *other = lab_acts; other < act; other++) {
        before += other->scene == act->scene ? lab_act_visits(other) : 0;
    }
    return before + lab_act_visits(act) - 1;
}

const struct lab_step *lab_act_last(const struct lab_act *act) {
    const struct lab_step *last = NULL;
    for (const struct lab_step *step = act->steps; step->verb != LAB_END; step++) {
        last = step->verb == LAB_VISIT ? step : last;
    }
    return last;
}

const char *lab_fact_word(enum lab_fact fact) {
    static const char *const words[] = {
#define FACT(id, word, text) word,
#include "lab/fact.def"
#undef FACT
    };
    return words[fact];
}

const char *lab_fact_text(enum lab_fact fact) {
    static const char *const texts[] = {
#define FACT(id, word, text) text,
#include "lab/fact.def"
#undef FACT
    };
    return texts[fact];
}
