/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The real radio (`--radio bluez`). bluetoothd over D-Bus advertises (LEAdvertisingManager1) and scans
 * (Adapter1); L2CAP LE credit-based channels (Bluetooth Core 5.4 vol 3 part A section 10.1) carry
 * streams by kernel sockets; the connection's RSSI comes from HCI Read RSSI (vol 4 part E section
 * 7.5.4) on a raw socket, or from the kernel's management interface where that is refused.
 *
 * The adapter is chosen by ability and said aloud: powered, LE, the needed role, advertising slots. It
 * may be switched off, unplugged and plugged in, bluetoothd may restart, the machine may sleep:
 * what was asked for is asked for again when it is back, and `failed` comes only after
 * SH_BLE_GRACE_MS. What can never work (no kernel support, no permission, a blocking switch at the
 * start) fails in a moment.
 *
 * bluetoothd, or the bus, may fall silent at any time. That ends in ops->failed (bluetooth.refused, env.no-bus) within the times
 * below, unless it speaks again, or does not matter; a single answer or signal that is lost costs no more than the time until it is
 * noticed.
 */
#ifndef SIMHOP_PAIRING_BLE_BLUEZ_H
#define SIMHOP_PAIRING_BLE_BLUEZ_H

#include "pairing/ble.h"

#define SH_BLUEZ_START_MS  6500                     /* before it was ever on the air */
#define SH_BLUEZ_SILENT_MS (7000 + SH_BLE_GRACE_MS) /* 5 s for a call, 7 s where nothing is heard */
#define SH_BLUEZ_CALL_MS   4500                     /* by so much connecting is later at most */
/* Until a call is answered or has failed: two tries, each of 3.5 s in which the peer may answer, what the kernel needs after the
 * first, and 4.5 s (the second time 3 s) as above. Just after another call was given up: 4.3 s more. */
#define SH_BLUEZ_CONNECT_MS 15000
#define SH_BLUEZ_STOP_MS    5000 /* until it has stopped to scan */

/* adapter: "hci0", an address, or NULL for the best one. Opens the bus and goes on in the loop: what was
 * asked of the driver meanwhile is done when the adapter is there, or ends in ops->failed. Addresses that it gives are
 * "AA:BB:CC:DD:EE:FF/public" or ".../random". Fails with env.no-bus, bluetooth.unsupported, env.permission, env.no-memory. */
SH_MUST_USE enum sh_cause sh_ble_bluez_new(struct event_base *base, const char *adapter,
                                           const struct sh_ble_ops *ops, void *user,
                                           struct sh_ble **ret_ble);

#endif
