/* dtls.h: DTLS and QUIC in UDP datagrams: recognised, and DTLS's handshake messages read
 * (RFC 6347 4.1, 4.2; RFC 9147 5.2). QUIC is recognised only.
 */
#ifndef REPRISE_CAPTURE_DTLS_H
#define REPRISE_CAPTURE_DTLS_H

#include "capture/flow.h"
#include "capture/issued.h"

/* True when the datagram begins as a handshake of DTLS or QUIC does: worth reading the flow. */
bool dtls_starts(struct bytes datagram, enum stream_transport *transport);

/* One datagram of a flow that dtls_starts took. */
void dtls_data(struct live *live, struct issued *issued, uint8_t direction, struct bytes datagram,
               const struct place *place);

#endif
