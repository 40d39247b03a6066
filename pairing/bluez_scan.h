/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scanning by bluetoothd: a discovery session of org.bluez.Adapter1 (BlueZ's doc/adapter-api.txt) with
 * a filter that makes every report arrive: duplicate data, and a signal strength that all have, without which
 * only changes of 8 dB and more are told. The session ends with our connection to the bus.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_SCAN_H
#define SIMHOP_PAIRING_BLUEZ_SCAN_H

#include <event2/event.h>

#include "system/bus.h"

struct sh_bluez_scan;

/* told: from the loop, whenever it is at rest again: SH_OK (it scans as wanted, or has stopped), else, with a detail, what
 * keeps it from scanning; it is tried again every second. May free the scan. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bluez_scan_new(struct event_base *base,
                                            void (*told)(enum sh_cause cause, void *user),
                                            void *user, struct sh_bluez_scan **ret_scan);
/* NULL is fine. */
void sh_bluez_scan_free(struct sh_bluez_scan *scan);

void sh_bluez_scan_on(struct sh_bluez_scan *scan, struct sh_bus *bus, const char *path);
/* It has stopped when sh_bluez_scan_idle, which `told` reports. */
void sh_bluez_scan_off(struct sh_bluez_scan *scan);
/* Ends its session and begins another: nothing is heard though something should be. */
void sh_bluez_scan_again(struct sh_bluez_scan *scan);
/* bluetoothd, the bus or the adapter's power is gone, and with it the session. */
void sh_bluez_scan_lost(struct sh_bluez_scan *scan);

bool sh_bluez_scan_is_on(const struct sh_bluez_scan *scan);
bool sh_bluez_scan_idle(const struct sh_bluez_scan *scan);

#endif
