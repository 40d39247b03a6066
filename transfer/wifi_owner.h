/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who else may own the Wi-Fi: iwd, which has the bus name net.connman.iwd and no control socket, so that no wpa_supplicant
 * answers. Asked beforehand, for a failure that then has its name.
 */
#ifndef SIMHOP_TRANSFER_WIFI_OWNER_H
#define SIMHOP_TRANSFER_WIFI_OWNER_H

#include <event2/event.h>

#include "proto/cause.h"

#define SH_WIFI_OWNER_MS 500 /* longer is not waited for */

struct sh_wifi_owner;

/* done is called from the loop, once. Without a bus the answer is no. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_owner_ask(struct event_base *base,
                                            void (*done)(bool iwd, void *user), void *user,
                                            struct sh_wifi_owner **ret_owner);
/* NULL is fine; also from done. */
void sh_wifi_owner_free(struct sh_wifi_owner *owner);

#endif
