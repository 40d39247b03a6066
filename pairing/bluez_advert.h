/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Advertising by bluetoothd: an object of ours with org.bluez.LEAdvertisement1, registered at an
 * adapter's org.bluez.LEAdvertisingManager1 (BlueZ's doc/advertising-api.txt), which holds our service
 * data, the flag "discoverable" (without it BlueZ does not show us to who scans), an interval, and
 * no name. Other data is another registration, made before the former one is taken back where a slot
 * is free, so that there is no gap and the controller takes a new private address.
 *
 * Where a transmit power may be asked for (property TxPower; BlueZ 5.77 and newer, older ones with --experimental), each step of it
 * is a change of the object that is registered: the address stays. What the controller chose is told by bluetoothd, which sets
 * the property. A request that is refused, not answered or answered with another power ends this for good. Until a power has
 * been had once, the data states the full one.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_ADVERT_H
#define SIMHOP_PAIRING_BLUEZ_ADVERT_H

#include <event2/event.h>

#include "pairing/advert.h"
#include "pairing/bluez_objects.h"
#include "system/bus.h"

#define SH_BLUEZ_INTERVAL_MS 100

struct sh_bluez_advert;

struct sh_bluez_power {
    int full_dbm; /* of the adapter; SH_BLUEZ_NO_POWER: none can be asked for */
    int step_db;  /* so much more than usual, 0 or less, as the payload states it */
};

/* told: from the loop, what became of the latest data: SH_OK (it is on the air), else, with a detail,
 * what keeps it off (bluetooth.slots-full, bluetooth.permission, bluetooth.off, bluetooth.daemon-old,
 * bluetooth.refused); it is tried again every second. May free the advert. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bluez_advert_new(struct event_base *base,
                                              void (*told)(enum sh_cause cause, void *user),
                                              void *user, struct sh_bluez_advert **ret_advert);
/* NULL is fine. Takes back what is registered, without waiting. */
void sh_bluez_advert_free(struct sh_bluez_advert *advert);

/* Advertises this on the adapter at path; the same again changes nothing. What is not sent with a lowered power does not say
 * so. */
void sh_bluez_advert_on(struct sh_bluez_advert *advert, struct sh_bus *bus, const char *path,
                        const struct sh_advert *payload, const struct sh_bluez_power *power);
void sh_bluez_advert_off(struct sh_bluez_advert *advert);
/* Registers once more, though nothing changed: a controller may have stopped. */
void sh_bluez_advert_again(struct sh_bluez_advert *advert);
/* bluetoothd or the bus is gone, and with it what was registered. */
void sh_bluez_advert_lost(struct sh_bluez_advert *advert);
/* Did a controller, or bluetoothd, not take the power that it was asked for? */
bool sh_bluez_advert_refused_power(const struct sh_bluez_advert *advert);
bool sh_bluez_advert_is_on(const struct sh_bluez_advert *advert);

#endif
