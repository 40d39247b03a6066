/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Channel Sounding by bluetoothd: org.bluez.ChannelSounding1 of a device that is connected (BlueZ's
 * doc/org.bluez.ChannelSounding1.rst; newer than 5.87, with experimental interfaces on, and only where both controllers can
 * do Bluetooth 6.0). It is asked for, a measurement is started, and what each procedure measured goes through
 * pairing/sounding.h. Nothing blocks, and nobody has to wait: where there is no such interface, which is almost everywhere,
 * that is said once and nothing else happens. The interface appears when the services of the other device are known, which
 * may be some time after it is connected: then it is asked for again.
 *
 * The side that starts it measures as the initiator and alone gets the data, the other device's too, by its Ranging
 * Service. The other side's bluetoothd answers by itself. Both may measure, one after the other: while one does, a
 * start by the other is refused.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_SOUNDING_H
#define SIMHOP_PAIRING_BLUEZ_SOUNDING_H

#include "pairing/sounding.h"
#include "system/bus.h"

#define SH_BLUEZ_SOUNDING    "org.bluez.ChannelSounding1"
#define SH_BLUEZ_SOUNDING_MS 11000 /* two answers, and a second more than what was asked for */

struct sh_bluez_sounding_ops {
    /* After each procedure, from the loop. Both NAN unless estimate->verdict is SH_SOUNDING_GOOD; the estimate, which
     * tells why and all that is known, lives as long as the call. May free the sounding. */
    void (*distance)(double metres, double sd_m, const struct sh_sounding_estimate *estimate,
                     void *user);
    /* Once at most, from the loop, with a detail: none comes for now (no such interface, refused, no answer), or none comes
     * any more (the time is over, the device was disconnected). Where the bus lives it comes within SH_BLUEZ_SOUNDING_MS and
     * the time of the measurement at the latest, if there is such an interface now. No reason to end a session. May free the sounding. */
    void (*none)(enum sh_cause cause, void *user);
};

struct sh_bluez_sounding;

/* device: its object path, of sh_bluez_device. seconds: how long bluetoothd measures at most. The bus must live longer. Fails
 * with env.no-memory, env.no-bus, bluetooth.refused (too long a path). */
SH_MUST_USE enum sh_cause sh_bluez_sounding_new(struct sh_bus *bus, const char *device,
                                                unsigned seconds,
                                                const struct sh_bluez_sounding_ops *ops, void *user,
                                                struct sh_bluez_sounding **ret_sounding);
/* Ends the measurement, if it is ours. NULL is fine. */
void sh_bluez_sounding_free(struct sh_bluez_sounding *sounding);

#endif
