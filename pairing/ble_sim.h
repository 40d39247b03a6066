/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The simulated radio (`--radio sim:DIR`). Devices meet in DIR: each binds two UNIX sockets under
 * its own name, NAME.air (datagrams: advertisements) and NAME.l2cap (SOCK_SEQPACKET: channels);
 * what goes through them stands in sim_packet.h. An advertiser sends its payload to every *.air
 * each interval; the hearer computes the signal strength from the folder's positions, and
 * takes off what the sender lowered its power by. Farther apart
 * than SH_AIR_RANGE_M nothing is heard, no connection is made, and one that stands is lost after 2
 * s.
 *
 * Socket files are removed at free; left-overs of dead processes are found by a refused connect and
 * removed. A live device of the same name: env.name-taken.
 *
 * Each stream has the rate of `ble_rate` each way. A connect that is not answered fails after 5 s
 * with connect.timeout; a new one takes the place of one that is not done.
 */
#ifndef SIMHOP_PAIRING_BLE_SIM_H
#define SIMHOP_PAIRING_BLE_SIM_H

#include "pairing/air_files.h"
#include "pairing/air_parse.h"
#include "pairing/ble.h"

/* name: see sh_sim_name_ok. files stays with the caller and must outlive the radio; the radio
 * refreshes it. Fails with env.name-taken, env.no-radio, env.radio-failed, env.permission,
 * usage.bad-option (name), store.*, env.no-memory. */
SH_MUST_USE enum sh_cause sh_ble_sim_new(struct event_base *base, struct sh_air_files *files,
                                         const char *dir, const char *name,
                                         const struct sh_ble_ops *ops, void *user,
                                         struct sh_ble **ret_ble);

#endif
