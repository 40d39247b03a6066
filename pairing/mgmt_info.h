/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel says of a controller (Read Controller Information of BlueZ's doc/mgmt-api.txt), asked
 * once and without waiting. Everybody may ask this.
 */
#ifndef SIMHOP_PAIRING_MGMT_INFO_H
#define SIMHOP_PAIRING_MGMT_INFO_H

#include <event2/event.h>

#include "proto/cause.h"

#define SH_MGMT_INFO_MS 1000

struct sh_mgmt_info;

/* index: the N of hciN. told gets the current settings (SH_MGMT_PRIVACY, ... of pairing/mgmt_packet.h), once; it is not called if the kernel
 * does not answer within SH_MGMT_INFO_MS. May free it. Fails with env.permission, env.no-memory. */
SH_MUST_USE enum sh_cause sh_mgmt_info_new(struct event_base *base, uint16_t index,
                                           void (*told)(uint32_t settings, void *user), void *user,
                                           struct sh_mgmt_info **ret_info);
/* NULL is fine. */
void sh_mgmt_info_free(struct sh_mgmt_info *info);

#endif
