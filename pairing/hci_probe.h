/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions to the kernel and to a controller that change nothing, asked and waited for: for `simhop doctor`, never inside the
 * loop.
 */
#ifndef SIMHOP_PAIRING_HCI_PROBE_H
#define SIMHOP_PAIRING_HCI_PROBE_H

#include "proto/cause.h"

/* Does the controller hciINDEX answer HCI Read RSSI on a raw socket? It is asked about a connection that there is not.
 * Fails with near.no-signal (refused, unknown, no answer), bluetooth.unsupported. */
SH_MUST_USE enum sh_cause sh_hci_probe_rssi(uint16_t index, unsigned limit_ms);

/* The current settings (SH_MGMT_LE, SH_MGMT_PRIVACY, ...) of hciINDEX by the kernel's management interface. Fails with
 * bluetooth.no-adapter, bluetooth.unsupported, env.radio-failed (no answer). */
SH_MUST_USE enum sh_cause sh_hci_probe_settings(uint16_t index, unsigned limit_ms,
                                                uint32_t *ret_settings);

#endif
