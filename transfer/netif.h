/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network interfaces by rtnetlink (libnl-route): link-local addresses for a group's interface, and the news that
 * an interface goes, or that addresses come and go.
 *
 * An IPv6 link-local address is random (RFC 4862 section 5.3 says when, not which) and marked "no duplicate detection": the second
 * that the detection takes would be half of what joining takes, and two random numbers of 64 bits are not
 * the same. IPv4 has one of 169.254/16 (RFC 3927) for where IPv6 is switched off.
 */
#ifndef SIMHOP_TRANSFER_NETIF_H
#define SIMHOP_TRANSFER_NETIF_H

#include "transfer/tcp.h"

/* false: there is none of that name. */
bool sh_netif_find(const char *iface, uint32_t *ret_ifindex, uint8_t ret_address[6]);

/* Adds both kinds, or the one that works. Without permission it takes the address that the kernel made itself, if there is one by
 * now. Returns how many are in out, at most 2; 0 with wifi.permission or wifi.no-address as *ret_cause. */
size_t sh_netif_add_addresses(const char *iface, uint32_t ifindex, struct sh_tcp_address out[2],
                              enum sh_cause *ret_cause);

/* Takes them away again, from an interface that stays. */
void sh_netif_remove_addresses(uint32_t ifindex, const struct sh_tcp_address *addresses,
                               size_t count);

struct sh_netif_watch;
/* gone is called from the loop when this interface is removed, or not up any more. Fails with env.radio-failed,
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_netif_watch_new(struct event_base *base, uint32_t ifindex,
                                             void (*gone)(void *user), void *user,
                                             struct sh_netif_watch **ret_watch);
/* The same for one that may not be up yet, or not all the time: gone is called only when it is removed, also if it was before this call. */
SH_MUST_USE enum sh_cause sh_netif_watch_removal(struct event_base *base, uint32_t ifindex,
                                                 void (*gone)(void *user), void *user,
                                                 struct sh_netif_watch **ret_watch);
/* changed is called from the loop whenever an address of any interface comes or goes. Fails as the one above. */
SH_MUST_USE enum sh_cause sh_netif_watch_addresses(struct event_base *base,
                                                   void (*changed)(void *user), void *user,
                                                   struct sh_netif_watch **ret_watch);
/* NULL is fine; also from gone. */
void sh_netif_watch_free(struct sh_netif_watch *watch);

#endif
