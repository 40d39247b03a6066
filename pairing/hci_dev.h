/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a controller there and up at this moment? The kernel knows at once, while bluetoothd's word comes later: a
 * connection that breaks because its adapter was switched off breaks before anybody says why.
 */
#ifndef SIMHOP_PAIRING_HCI_DEV_H
#define SIMHOP_PAIRING_HCI_DEV_H

#include "proto/cause.h"

/* hciINDEX by the ioctl HCIGETDEVINFO, without waiting. Fails with bluetooth.no-adapter, bluetooth.off, bluetooth.unsupported (no
 * Bluetooth socket can be had). What cannot be asked is SH_OK. */
SH_MUST_USE enum sh_cause sh_hci_dev_state(uint16_t index);

#endif
