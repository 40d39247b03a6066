/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the LAN link: link_lan.c (listening and dialling), link_lan_stream.c (an established
 * connection), lan_address.c (which addresses this machine has).
 */
#ifndef SIMHOP_TRANSFER_LAN_INTERNAL_H
#define SIMHOP_TRANSFER_LAN_INTERNAL_H

#include <event2/event.h>
#include <sys/socket.h>

#include "transfer/link.h"

#define SH_LAN_ADDRESSES 12
#define SH_LAN_SHAPE_MS  100

struct sh_lan_address {
    uint8_t bytes[16];
    size_t len; /* 4 or 16 */
};

/* The addresses that others may reach, of interfaces that are up; loopback, with *ret_loopback,
 * if there is no other and no interface was asked for. ipv4_only: what the listener can take.
 * Returns how many. */
size_t sh_lan_addresses(const char *iface, bool ipv4_only,
                        struct sh_lan_address out[SH_LAN_ADDRESSES], bool *ret_loopback);

struct sh_lan_stream;

/* What both an accepted and a dialled stream want to know of their link; outlives neither. */
struct sh_lan_owner {
    struct event_base *base;
    sh_shape_fn shape;
    void *shape_user;
    struct sh_lan_stream *streams; /* all that are open */
    unsigned accepted;
};

/* Takes the descriptor, also on failure (NULL). */
struct sh_lan_stream *sh_lan_stream_new(struct sh_lan_owner *owner, int fd, bool accepted);
struct sh_stream *sh_lan_stream_base(struct sh_lan_stream *stream);
/* The owner goes: streams in use stay and work on, those that flush end. */
void sh_lan_streams_detach(struct sh_lan_owner *owner);

/* TCP_NODELAY, time-outs; before connect and after accept. */
void sh_lan_socket_options(int fd);
/* What a failure of connect means; quick: an answer came in less than a second. */
enum sh_cause sh_lan_connect_cause(int error, bool quick);
/* Milliseconds of CLOCK_BOOTTIME. */
sh_ms sh_lan_now(void);

#endif
