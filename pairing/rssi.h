/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signal strength of connections, sampled in the loop: HCI Read RSSI on a raw HCI socket some 30
 * times a second, or, where that is refused or says no level of anybody for SH_RSSI_HCI_DRY_MS, whatever it says or does
 * instead, the kernel's management interface once a second (it caches). Where that says none either it rests and begins with the
 * first again. At most one question a connection is under way; several connections take part.
 *
 * Nobody is told that nothing is heard: whoever waits for samples has a deadline (pairing/handshake.h).
 */
#ifndef SIMHOP_PAIRING_RSSI_H
#define SIMHOP_PAIRING_RSSI_H

#include <event2/event.h>

#include "pairing/bdaddr.h"
#include "proto/cause.h"

#define SH_RSSI_TARGETS       16 /* more are not sampled */
#define SH_RSSI_HCI_DRY_MS    2000
#define SH_RSSI_KERNEL_DRY_MS 3000
#define SH_RSSI_REST_MS       1000

struct sh_rssi;

/* index: the N of hciN. sample gets each value of a connection; may call the functions below. Fails with
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_rssi_new(struct event_base *base, uint16_t index,
                                      void (*sample)(uint16_t handle, int dbm, void *user),
                                      void *user, struct sh_rssi **ret_rssi);
/* NULL is fine; also from sample. */
void sh_rssi_free(struct sh_rssi *rssi);
/* From now until removed. One that is sampled already has this peer from now on. */
void sh_rssi_add(struct sh_rssi *rssi, uint16_t handle, const struct sh_bdaddr *peer);
void sh_rssi_remove(struct sh_rssi *rssi, uint16_t handle);

#endif
