/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The simulated radio (`--radio sim:DIR`). Devices meet in DIR: each binds two UNIX sockets under its own name,
 * NAME.air (datagrams: advertisements) and NAME.l2cap (SOCK_SEQPACKET: channels). An advertiser sends its payload to every *.air each
 * interval; the hearer computes the signal strength from the folder's positions. Socket files are removed at free; left-overs of dead processes are
 * found by a refused connect and removed. A live device of the same name: env.name-taken.
 */
#ifndef SIMHOP_PAIRING_BLE_SIM_H
#define SIMHOP_PAIRING_BLE_SIM_H

#include "pairing/air_files.h"
#include "pairing/ble.h"

#define SH_SIM_NAME_MAX 63 /* letters, digits, '-', '_', '.', not starting with '.' */

/* files stays with the caller, must outlive the radio. Fails with env.name-taken, env.no-radio, env.permission, usage.bad-option (name),
 * store.*, env.no-memory. */
SH_MUST_USE enum sh_cause sh_ble_sim_new(struct event_base *base, struct sh_air_files *files,
                                         const char *dir, const char *name,
                                         const struct sh_ble_ops *ops, void *user,
                                         struct sh_ble **ret_ble);

#endif
