/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The port that the anchor takes LAN connections at, kept in the file `lan-port` of the state folder (a decimal number), so
 * that linked devices find it again after a restart, and a firewall needs one rule. A wish, not a promise: where the port is
 * taken, another one is used and kept.
 */
#ifndef SIMHOP_CLI_LAN_PORT_H
#define SIMHOP_CLI_LAN_PORT_H

#include <stdint.h>

#include "proto/cause.h"

/* 0: none is kept, or what is there is no port. */
uint16_t sh_lan_port_read(const char *state);
/* Writes only what is new. Fails as sh_keyfile_write does. */
SH_MUST_USE enum sh_cause sh_lan_port_keep(const char *state, uint16_t port);

#endif
