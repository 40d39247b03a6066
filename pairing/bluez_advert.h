/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Advertising by bluetoothd: an object of ours with org.bluez.LEAdvertisement1, registered at an
 * adapter's org.bluez.LEAdvertisingManager1 (BlueZ's doc/advertising-api.txt), which holds our service
 * data, the flag "discoverable" (without it BlueZ does not show us to who scans), an interval, and
 * no name. Other data is another registration, made before the former one is taken back where a slot
 * is free, so that there is no gap and the controller takes a new private address.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_ADVERT_H
#define SIMHOP_PAIRING_BLUEZ_ADVERT_H

#include <event2/event.h>

#include "pairing/advert.h"
#include "system/bus.h"

#define SH_BLUEZ_INTERVAL_MS 100

struct sh_bluez_advert;

/* told: from the loop, what became of the latest data: SH_OK (it is on the air), else, with a detail,
 * what keeps it off (bluetooth.slots-full, bluetooth.permission, bluetooth.off, bluetooth.daemon-old,
 * bluetooth.refused); it is tried again every second. May free the advert. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bluez_advert_new(struct event_base *base,
                                              void (*told)(enum sh_cause cause, void *user),
                                              void *user, struct sh_bluez_advert **ret_advert);
/* NULL is fine. Takes back what is registered, without waiting. */
void sh_bluez_advert_free(struct sh_bluez_advert *advert);

/* Advertises this on the adapter at path; the same again changes nothing. */
void sh_bluez_advert_on(struct sh_bluez_advert *advert, struct sh_bus *bus, const char *path,
                        const uint8_t data[SH_ADVERT_SERVICE_DATA]);
void sh_bluez_advert_off(struct sh_bluez_advert *advert);
/* Registers once more, though nothing changed: a controller may have stopped. */
void sh_bluez_advert_again(struct sh_bluez_advert *advert);
/* bluetoothd or the bus is gone, and with it what was registered. */
void sh_bluez_advert_lost(struct sh_bluez_advert *advert);
bool sh_bluez_advert_is_on(const struct sh_bluez_advert *advert);

#endif
