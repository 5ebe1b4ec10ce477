/* fuzz_proxy_v2.c: any bytes as a PROXY protocol header. What is read is written again from
 * what was found and must read as the same; verdicts must not change when bytes are cut off. */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/proxy_v2.h"

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static struct bytes find(struct bytes tlvs, uint8_t type) {
    struct bytes value = { 0 };
    if (proxy_v2_find(tlvs, type, &value)) {
        require(value.data >= tlvs.data && value.len <= tlvs.len);
        require((size_t)(value.data - tlvs.data) <= tlvs.len - value.len);
    }
    return value;
}

static void check_again(const struct proxy_v2_view *view, const struct proxy_v2 *pp,
                        struct bytes header) {
    struct proxy_v2_view again;
    require(proxy_v2_read(header, &again) == (int)header.len);
    require(!again.local);
    struct bytes ssl = find(again.tlvs, PP2_TYPE_SSL);
    require(pp->tls == (ssl.len >= 5));
    require(bytes_equal(find(again.tlvs, PP2_TYPE_ALPN), pp->alpn));
    require(bytes_equal(find(again.tlvs, PP2_TYPE_REPRISE_REASON), pp->reason));
    if (pp->tls) {
        require(ssl.data[0] == pp->tls_client);
        ssl = (struct bytes){ ssl.data + 5, ssl.len - 5 };
        require(bytes_equal(find(ssl, PP2_SUBTYPE_SSL_CIPHER), pp->tls_cipher));
    }
    /* IPv4 in IPv6 is written as IPv4. */
    if (view->family == again.family) {
        require(memcmp(&view->client, &again.client, sizeof(view->client)) == 0);
        require(memcmp(&view->server, &again.server, sizeof(view->server)) == 0);
    } else {
        require(view->family == 0x21 && again.family == 0x11);
    }
}

static void write_again(const struct proxy_v2_view *view) {
    struct proxy_v2 pp = {
        .client = (const struct sockaddr *)&view->client,
        .local = (const struct sockaddr *)&view->server,
        .alpn = find(view->tlvs, PP2_TYPE_ALPN),
        .authority = find(view->tlvs, PP2_TYPE_AUTHORITY),
        .handshake = find(view->tlvs, PP2_TYPE_REPRISE_HANDSHAKE),
        .resumed_by = find(view->tlvs, PP2_TYPE_REPRISE_RESUMED_BY),
        .reason = find(view->tlvs, PP2_TYPE_REPRISE_REASON),
        .session_id = find(view->tlvs, PP2_TYPE_REPRISE_SESSION_ID),
        .ticket_key = find(view->tlvs, PP2_TYPE_REPRISE_TICKET_KEY),
        .profile = find(view->tlvs, PP2_TYPE_REPRISE_PROFILE),
    };
    struct bytes ssl = find(view->tlvs, PP2_TYPE_SSL);
    if (ssl.len >= 5) {
        pp.tls = true;
        pp.tls_client = ssl.data[0];
        ssl = (struct bytes){ ssl.data + 5, ssl.len - 5 };
        pp.tls_version = find(ssl, PP2_SUBTYPE_SSL_VERSION);
        pp.tls_cn = find(ssl, PP2_SUBTYPE_SSL_CN);
        pp.tls_cipher = find(ssl, PP2_SUBTYPE_SSL_CIPHER);
        pp.tls_sig_alg = find(ssl, PP2_SUBTYPE_SSL_SIG_ALG);
        pp.tls_key_alg = find(ssl, PP2_SUBTYPE_SSL_KEY_ALG);
    }
    uint8_t *buf = malloc(PROXY_V2_MAX);
    require(buf);
    size_t len = proxy_v2_write(&pp, buf, PROXY_V2_MAX);
    require(len >= PROXY_V2_HEADER && len <= PROXY_V2_MAX);
    check_again(view, &pp, (struct bytes){ buf, len });

    uint8_t *tight = malloc(len);
    require(tight);
    require(proxy_v2_write(&pp, tight, len) == len && memcmp(tight, buf, len) == 0);
    require(proxy_v2_write(&pp, tight, len - 1) == 0);
    require(proxy_v2_write(&pp, tight, len / 2) == 0);
    free(tight);
    free(buf);
}

static void check_prefix(struct bytes in, size_t len, int whole) {
    uint8_t *prefix = malloc(len ? len : 1);
    require(prefix);
    if (len > 0) {
        memcpy(prefix, in.data, len);
    }
    struct proxy_v2_view view;
    int rc = proxy_v2_read((struct bytes){ prefix, len }, &view);
    require(rc == 0 || rc == whole);
    free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct bytes in = { data, len };
    struct proxy_v2_view view;
    int rc = proxy_v2_read(in, &view);
    require(rc >= -1 && rc <= PROXY_V2_MAX && (rc <= 0 || (size_t)rc <= len));
    require(rc != 0 || len < PROXY_V2_MAX);
    for (size_t cut = len; cut > 0; cut /= 2) {
        check_prefix(in, cut - 1, rc);
    }
    if (rc > 0) {
        check_prefix(in, (size_t)rc, rc);
        check_prefix(in, (size_t)rc - 1, 0);
        write_again(&view);
    }
    for (unsigned type = 0; type < 256; type++) {
        find(in, (uint8_t)type); /* as if the whole were TLVs */
    }
    return 0;
}
