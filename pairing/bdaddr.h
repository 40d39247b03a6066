/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses of LE devices as the real radio shows them: "AA:BB:CC:DD:EE:FF/public" or ".../random"
 * (Bluetooth Core 5.4 vol 6 part B section 1.3).
 */
#ifndef SIMHOP_PAIRING_BDADDR_H
#define SIMHOP_PAIRING_BDADDR_H

#include <bluetooth/bluetooth.h>

#include "proto/base.h"

struct sh_bdaddr {
    bdaddr_t octets; /* little endian */
    uint8_t type;    /* BDADDR_LE_PUBLIC or BDADDR_LE_RANDOM */
};

#define SH_BDADDR_TEXT 25

/* false: not of that form. */
SH_MUST_USE bool sh_bdaddr_read(const char *text, struct sh_bdaddr *ret_address);

#endif
