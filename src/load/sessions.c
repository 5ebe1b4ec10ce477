/* sessions.c: see sessions.h. */
#include "load/sessions.h"

#include <stdlib.h>

static struct load_session *at(const struct load_sessions *s, size_t index) {
    return &s->ring[(s->first + index) % s->cap];
}

static struct load_session pop(struct load_sessions *s) {
    struct load_session oldest = *at(s, 0);
    s->first = (s->first + 1) % s->cap;
    s->count--;
    return oldest;
}

static void push(struct load_sessions *s, struct load_session one) {
    *at(s, s->count) = one;
    s->count++;
}

void load_sessions_put(struct load_sessions *s, SSL_SESSION *session, uint64_t now_ns) {
    if (!s->ring) {
        s->ring = calloc(s->cap, sizeof(*s->ring));
        if (!s->ring) {
            tls_client_session_free(session);
            return;
        }
    }
    if (s->count == s->cap) {
        tls_client_session_free(pop(s).session);
    }
    push(s, (struct load_session){ session, now_ns });
}

SSL_SESSION *load_sessions_take(struct load_sessions *s, bool once, uint64_t oldest_ns) {
    while (s->count > 0) {
        struct load_session one = pop(s);
        if (one.born_ns < oldest_ns) {
            tls_client_session_free(one.session);
            continue;
        }
        if (!once) {
            tls_client_session_ref(one.session);
            push(s, one);
        }
        return one.session;
    }
    return NULL;
}

void load_sessions_drop(struct load_sessions *s, const SSL_SESSION *session) {
    for (size_t left = s->count; left > 0; left--) {
        struct load_session one = pop(s);
        if (one.session == session) {
            tls_client_session_free(one.session);
        } else {
            push(s, one);
        }
    }
}

void load_sessions_fini(struct load_sessions *s) {
    while (s->count > 0) {
        tls_client_session_free(pop(s).session);
    }
    free(s->ring);
    s->ring = NULL;
}
