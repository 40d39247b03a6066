/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the LAN link: link_lan.c (listening and dialling), link_lan_stream.c (an established connection),
 * lan_address.c (which addresses this machine has).
 */
#ifndef SIMHOP_TRANSFER_LAN_INTERNAL_H
#define SIMHOP_TRANSFER_LAN_INTERNAL_H

#include <event2/event.h>
#include <sys/socket.h>

#include "transfer/link.h"

#define LAN_ADDRESSES 12
#define LAN_SHAPE_MS  100

struct lan_address {
    uint8_t bytes[16];
    size_t len; /* 4 or 16 */
};

/* The addresses that others may reach, of interfaces that are up; loopback, with *ret_loopback, if there
 * is no other and no interface was asked for. ipv4_only: what the listener can take. Returns how many. */
size_t lan_addresses(const char *iface, bool ipv4_only, struct lan_address out[LAN_ADDRESSES],
                     bool *ret_loopback);

struct lan;
struct lan_stream;

/* What both an accepted and a dialled stream want to know of their link; outlives neither. */
struct lan_owner {
    struct event_base *base;
    sh_shape_fn shape;
    void *shape_user;
    struct lan_stream *streams; /* all that are open */
    unsigned accepted;
};

/* Takes the descriptor, also on failure (NULL). */
struct lan_stream *lan_stream_new(struct lan_owner *owner, int fd, bool accepted);
struct sh_stream *lan_stream_base(struct lan_stream *stream);
/* The owner goes: streams in use stay and work on, those that flush end. */
void lan_streams_detach(struct lan_owner *owner);

/* TCP_NODELAY, time-outs; before connect and after accept. */
void lan_socket_options(int fd);
/* What a failure of connect means; quick: an answer came in less than a second. */
enum sh_cause lan_connect_cause(int error, bool quick);
/* Milliseconds of CLOCK_BOOTTIME. */
sh_ms lan_now(void);

#endif
