/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TCP as the links `lan` and `wifi-direct` share it, private to this room: tcp_listen.c (taking connections),
 * tcp_dial.c (making them), tcp_stream.c (an established one); lan_address.c has the addresses of this machine.
 */
#ifndef SIMHOP_TRANSFER_TCP_H
#define SIMHOP_TRANSFER_TCP_H

#include <event2/event.h>
#include <sys/socket.h>

#include "transfer/link.h"
#include "transfer/path.h"

#define SH_LAN_ADDRESSES 12
#define SH_TCP_SHAPE_MS  100

struct sh_tcp_address {
    uint8_t bytes[16];
    size_t len; /* 4 or 16; 0: any */
};

/* The addresses that others may reach, of interfaces that are up; loopback, with *ret_loopback,
 * if there is no other and no interface was asked for. ipv4_only: what the listener can take.
 * Returns how many. */
size_t sh_lan_addresses(const char *iface, bool ipv4_only,
                        struct sh_tcp_address out[SH_LAN_ADDRESSES], bool *ret_loopback);

/* May another device mean something by it? Not loopback, multicast, broadcast, link-local ones. */
bool sh_lan_is_usable(const uint8_t *bytes, size_t len);
bool sh_lan_is_loopback(const uint8_t *bytes, size_t len);

/* ---- An established connection ---- */

struct sh_tcp_stream;

/* What both an accepted and a dialled stream want to know of their link; outlives neither. */
struct sh_tcp_owner {
    struct event_base *base;
    sh_shape_fn shape;
    void *shape_user;
    struct sh_tcp_stream *streams;   /* all that are open */
    unsigned accepted, accepted_max; /* 0: SH_LAN_STREAMS */
};

struct sh_shape sh_tcp_shape_now(const struct sh_tcp_owner *owner);

/* Takes the descriptor, also on failure (NULL). */
struct sh_tcp_stream *sh_tcp_stream_new(struct sh_tcp_owner *owner, int fd, bool accepted);
struct sh_stream *sh_tcp_stream_base(struct sh_tcp_stream *stream);
/* The owner goes: streams in use stay and work on, those that flush end. */
void sh_tcp_streams_detach(struct sh_tcp_owner *owner);
/* The interface under them goes: each that is open is lost now, and says so from the loop. quiet: nobody here ended them, and what
 * still gets through would say at the other end that we did; so it is not told for a second, in which it sees from its own
 * interface what happened. */
void sh_tcp_streams_cut(struct sh_tcp_owner *owner, enum sh_cause cause, bool quiet);

/* TCP_NODELAY, time-outs; before connect and after accept. */
void sh_tcp_socket_options(int fd);
/* Before connect: no larger segments, neither ours nor, by the option in our SYN, the peer's (RFC 9293 section 3.7.1). */
void sh_tcp_segment(int fd, unsigned octets);
/* What a failure of connect means; quick: an answer came in less than a second. */
enum sh_cause sh_tcp_connect_cause(int error, bool quick);

/* ---- Listening and dialling ---- */

/* Our end of a connection. */
struct sh_tcp_local {
    const char *iface; /* bound to it (SO_BINDTODEVICE); NULL or "": any */
    uint32_t ifindex;  /* the scope of link-local addresses; 0: none */
    struct sh_tcp_address address;
    uint16_t port; /* of a listener: the one it had before, if that is free; 0: any */
};

/* A socket of the family of that address (or IPv6, which takes IPv4 too where the address is any), not
 * blocking, bound. -1 and errno when that fails. */
int sh_tcp_socket(const struct sh_tcp_local *local, bool ipv4);

struct sh_tcp_listener;

/* Takes connections, at most accepted_max of the owner at once; the rest is closed at once. With any address it is IPv6
 * and IPv4, or IPv4 alone where there is no other. Fails with env.permission, link.none, env.no-memory. */
SH_MUST_USE enum sh_cause
sh_tcp_listener_new(struct sh_tcp_owner *owner, const struct sh_tcp_local *local,
                    void (*accepted)(struct sh_stream *stream, void *user), void *user,
                    struct sh_tcp_listener **ret_listener);
/* NULL is fine. Streams stay. */
void sh_tcp_listener_free(struct sh_tcp_listener *listener);
uint32_t sh_tcp_listener_port(const struct sh_tcp_listener *listener);
bool sh_tcp_listener_ipv4_only(const struct sh_tcp_listener *listener);

/* Attempts under way. done is called from the loop: with a stream, or NULL, why and what was seen of the way. */
struct sh_tcp_dials {
    struct sh_tcp_owner *owner;
    void (*done)(unsigned attempt, struct sh_stream *stream, enum sh_cause cause,
                 const struct sh_path_facts *facts, void *user);
    void *user;
    struct sh_tcp_dial *first;
};

/* Gives up a little before SH_DIAL_MS, when nobody else does yet, to say what it saw. Fails with env.no-memory; all else is told by done. */
SH_MUST_USE enum sh_cause sh_tcp_dial(struct sh_tcp_dials *dials, const struct sh_attempt *attempt,
                                      const struct sh_tcp_local *local);
/* Is not heard of again. One that is not there is fine. */
void sh_tcp_dial_cancel(struct sh_tcp_dials *dials, unsigned attempt);
/* Their numbers. Returns how many. */
size_t sh_tcp_dials_list(const struct sh_tcp_dials *dials, unsigned *attempts, size_t max);
void sh_tcp_dials_clear(struct sh_tcp_dials *dials);

#endif
