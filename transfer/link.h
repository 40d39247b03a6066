/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links behind one table: `lan` here, `wifi_direct` beside it. A link driver brings streams; what
 * runs on them (TLS, probes) is the session's. Everything is asynchronous in the given libevent
 * base.
 */
#ifndef SIMHOP_TRANSFER_LINK_H
#define SIMHOP_TRANSFER_LINK_H

#include <event2/event.h>

#include "proto/msg.h"
#include "proto/stream.h"
#include "transfer/ladder.h"
#include "transfer/path.h"

struct sh_link;

struct sh_link_ops {
    /* Whoever listens: what to offer to the other side now, after listen (perhaps from inside it) and whenever it changes; valid until
     * the next call or free. NULL: nothing (any more), for this cause; the driver goes on trying where that makes sense.
     * With SH_OK: after unlisten, when it has left. */
    void (*offered)(struct sh_link *link, const Simhop__LinkOffer *offer, enum sh_cause cause,
                    void *user);
    /* Whoever listens: somebody connected. The callee sets stream->ops. */
    void (*accepted)(struct sh_link *link, struct sh_stream *stream, void *user);
    /* An attempt is connected, or failed (link.refused, link.unreachable,
     * link.timeout, wifi.*); facts of phase SH_PATH_NONE: the way is not why. */
    void (*dialled)(struct sh_link *link, unsigned attempt, struct sh_stream *stream, void *user);
    void (*dial_failed)(struct sh_link *link, unsigned attempt, enum sh_cause cause,
                        const struct sh_path_facts *facts, void *user);
    /* Secondary: an address of this machine came or went, so that what failed may work now. May be NULL. */
    void (*changed)(struct sh_link *link, void *user);
};

struct sh_link_driver {
    int kind;         /* Simhop__LinkKind */
    const char *name; /* "lan", "wifi-direct" */
    /* Anchor; a secondary by LAN, for a while: takes connections from now on, or once the link is up: ops->offered says so. seed: 32 secret octets that the
     * credentials of a group are derived from, used for a new group only; the LAN link has no use for it. Called again while
     * it listens it does nothing. Fails with link.none (no address to offer), env.permission, env.no-memory, wifi.*. */
    enum sh_cause (*listen)(struct sh_link *link, struct sh_bytes seed);
    /* Nobody needs it now: a group is removed. Streams end with it. Offered again only after listen. */
    void (*unlisten)(struct sh_link *link);
    /* Every failure is told by dial_failed, later, from the loop, unless this fails (env.no-memory). Joining a group is part
     * of it: attempts of the same group share that. */
    enum sh_cause (*dial)(struct sh_link *link, const struct sh_attempt *attempt);
    void (*cancel)(struct sh_link *link, unsigned attempt);
    /* Secondary: no attempt and no stream needs it now: a group that was joined is left, the station link is given back. */
    void (*rest)(struct sh_link *link);
    /* Are there streams, in use or saying their last words? */
    bool (*busy)(const struct sh_link *link);
    void (*free)(struct sh_link *link);
};

struct sh_link {
    const struct sh_link_driver *driver;
    const struct sh_link_ops *ops;
    void *user;
};

/* How a stream of this link is shaped; asked before each connection and each 100 ms. For the
 * simulated air's faults; NULL = not at all. cut: a dial is refused, a stream is closed on both
 * sides; blackhole: a dial times out, a stream neither sends nor reads. */
struct sh_shape {
    uint64_t rate;                       /* octets a second, 0 = no limit */
    bool cut, blackhole;                 /* now */
    uint64_t cut_after, blackhole_after; /* octets sent by this side */
    unsigned delay_ms;
};
typedef struct sh_shape (*sh_shape_fn)(void *user);

#define SH_LAN_STREAMS 64 /* accepted at once, unless told otherwise; more are closed at once */

/* TCP over the addresses of this machine's interfaces that are up (loopback only if there is no
 * other; no IPv6 link-local ones, which mean nothing without the other side's interface). iface
 * NULL = any. TCP_NODELAY, TCP_USER_TIMEOUT 5 s, keepalive 5/2/3. A stream stays until it is
 * closed, after `closed` too and after the driver's free, which ends those that still flush
 * after their close. dial tells every failure by dial_failed, later, from the loop. */
SH_MUST_USE enum sh_cause sh_link_lan_new(struct event_base *base, const char *iface,
                                          sh_shape_fn shape, void *shape_user,
                                          const struct sh_link_ops *ops, void *user,
                                          struct sh_link **ret_link);

/* Of a LAN link, before listen: the port that it takes if that is free, so that who was there before finds it again. 0: any. */
void sh_link_lan_prefer(struct sh_link *link, uint16_t port);
/* So many connections are accepted at once, in place of SH_LAN_STREAMS. */
void sh_link_lan_admit(struct sh_link *link, unsigned streams);

#endif
