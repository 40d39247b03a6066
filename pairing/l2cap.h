/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Streams over L2CAP LE credit-based channels (Bluetooth Core 5.4 vol 3 part A section 10.1), in the
 * loop. The sockets come from pairing/l2cap_socket.h; any SOCK_SEQPACKET socket behaves alike, which
 * is how the tests do without a radio. What is sent goes out in SDUs that the peer takes (BT_SNDMTU);
 * their borders mean nothing.
 *
 * All the streams of one radio form a set. Whoever is called from here may close streams and free the
 * set: what became unused is freed when the last handler is left.
 */
#ifndef SIMHOP_PAIRING_L2CAP_H
#define SIMHOP_PAIRING_L2CAP_H

#include <event2/event.h>

#include "proto/stream.h"

#define SH_L2CAP_SDU_OUT  4096  /* of what is sent */
#define SH_L2CAP_SDU_IN   16384 /* of what is taken: also how many credits the peer gets */
#define SH_L2CAP_CLOSE_MS 1000

struct sh_l2cap_ops {
    /* A stream is up: the callee sets its ops, or closes it. */
    void (*stream)(struct sh_stream *stream, bool incoming, void *user);
    /* connect.failed, connect.timeout, connect.lost, with the reason as detail. */
    void (*connect_failed)(enum sh_cause cause, void *user);
    /* The channel of a stream that was up ends now, whoever ended it; its socket is still open. */
    void (*ended)(struct sh_stream *stream, bool incoming, void *user);
};

struct sh_l2cap;

/* Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_l2cap_new(struct event_base *base, const struct sh_l2cap_ops *ops,
                                       void *user, struct sh_l2cap **ret_l2cap);
/* Closes all; what a closed stream still has is sent as far as it goes at once. NULL is fine; also from its
 * own callbacks. */
void sh_l2cap_free(struct sh_l2cap *l2cap);

/* Takes connections from a listening socket, which the set owns from here on, also on failure; a former one is
 * closed. At most limit incoming streams are up at once, more are closed at once. Fails with
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_l2cap_listen(struct sh_l2cap *l2cap, int fd, unsigned limit);
void sh_l2cap_listen_stop(struct sh_l2cap *l2cap);

/* Waits for a socket that connects (or is connected) at most limit_ms; ends in ops->stream or
 * ops->connect_failed. The set owns the socket, also on failure. A call that is not done is given
 * up. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_l2cap_call(struct sh_l2cap *l2cap, int fd, unsigned limit_ms);
void sh_l2cap_call_stop(struct sh_l2cap *l2cap);

/* What an errno of connecting means: connect.timeout, connect.lost, connect.failed, bluetooth.off; with
 * its text as detail. */
enum sh_cause sh_l2cap_cause(int error);

/* The socket; -1 when the channel is over. */
int sh_l2cap_fd(const struct sh_stream *stream);
/* How many streams are up, also those that are being closed. */
size_t sh_l2cap_up(const struct sh_l2cap *l2cap);

#endif
