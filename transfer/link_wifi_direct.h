/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Wi-Fi Direct behind transfer/link.h (Wi-Fi Alliance P2P 1.x, by wpa_supplicant's control interface).
 *
 * Anchor: an autonomous group owner with credentials derived from the seed, on the channel of its station link where the
 * radio's interface combinations ask for it. Secondary: joins with the credentials of the offer, without discovery,
 * negotiation or WPS, and keeps its own station link where the radio can: by a second interface, else as P2P client, else
 * with the station interface itself if that was allowed. TCP runs over link-local addresses and is bound to the
 * group's interface. What a killed process left behind is removed at the next start, only what is ours.
 */
#ifndef SIMHOP_TRANSFER_LINK_WIFI_DIRECT_H
#define SIMHOP_TRANSFER_LINK_WIFI_DIRECT_H

#include "transfer/link.h"

struct sh_wifi_direct_config {
    const char *iface;       /* station interface to use; NULL: the first that can */
    const char *control_dir; /* wpa_supplicant's control sockets; NULL: /run/wpa_supplicant */
    const char *run_dir; /* where marks of our own groups are kept, made 0700 if it is not there */
    /* The way of last resort costs the user's own Wi-Fi: may it be taken? NULL: no. Asked from the loop, answered at once. */
    bool (*may_take_station)(void *user);
    /* What a person should hear: which interface and way are used. May be NULL. */
    void (*note)(const char *text, void *user);
};

/* Looks at nothing yet: what stands in the way is told by listen and dial. Strings are copied. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_link_wifi_direct_new(struct event_base *base,
                                                  const struct sh_wifi_direct_config *config,
                                                  const struct sh_link_ops *ops, void *user,
                                                  struct sh_link **ret_link);

#endif
