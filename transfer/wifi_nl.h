/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nl80211 (linux/nl80211.h) by libnl: reads what the radios can do into a snapshot, adds and removes interfaces. The kernel
 * answers requests at once, so these calls are synchronous; a receive time-out of a second is for what never happens.
 *
 * Everybody may read; adding and removing wants CAP_NET_ADMIN. Only radios of this network namespace are seen.
 */
#ifndef SIMHOP_TRANSFER_WIFI_NL_H
#define SIMHOP_TRANSFER_WIFI_NL_H

#include "transfer/wifi_radio.h"

/* Fails with wifi.absent (a kernel without nl80211), env.radio-failed, env.no-memory. No radios at all is an empty snapshot. */
SH_MUST_USE enum sh_cause sh_wifi_nl_read(struct sh_wifi_radio *ret_radio);

/* What an error of libnl means; what: was asked for. */
enum sh_cause sh_wifi_nl_cause(int error, const char *what);

/* A station interface more on this phy, with an address of its own, not up yet. Fails with wifi.permission, wifi.no-p2p (the driver does
 * not), wifi.owned (the name is taken), wifi.absent, env.radio-failed, env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_nl_add_station(uint32_t phy, const char *name,
                                                 const uint8_t address[6], uint32_t *ret_ifindex);
/* One that is not there any more is fine. Fails with wifi.permission, env.radio-failed, env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_nl_remove(uint32_t ifindex);

/* For tests and fuzzers: the attributes of one message of the kernel's (after its generic netlink header) into the snapshot. What is
 * not well-formed or finds no room is passed over. */
void sh_wifi_nl_parse_phy(struct sh_bytes attributes, struct sh_wifi_radio *radio);
void sh_wifi_nl_parse_iface(struct sh_bytes attributes, struct sh_wifi_radio *radio);
void sh_wifi_nl_parse_country(struct sh_bytes attributes, struct sh_wifi_radio *radio);

#endif
