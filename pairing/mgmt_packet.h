/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two commands of the kernel's Bluetooth management interface (BlueZ's doc/mgmt-api.txt): Read
 * Controller Information, which everybody may ask, and Get Connection Information, which needs
 * CAP_NET_ADMIN and is a cache of 1 to 3 s. Packets only, no I/O.
 */
#ifndef SIMHOP_PAIRING_MGMT_PACKET_H
#define SIMHOP_PAIRING_MGMT_PACKET_H

#include "proto/base.h"

#define SH_MGMT_READ_INFO 0x0004
#define SH_MGMT_CONN_INFO 0x0031
#define SH_MGMT_ASK_MAX   13
#define SH_MGMT_EVENT_MAX 512 /* longer ones are none of ours */

#define SH_MGMT_POWERED 0x00000001 /* of the current settings */
#define SH_MGMT_LE      0x00000200
#define SH_MGMT_PRIVACY 0x00002000

/* Status codes. */
#define SH_MGMT_NOT_CONNECTED     0x02
#define SH_MGMT_PERMISSION_DENIED 0x14

struct sh_mgmt_answer {
    uint16_t opcode; /* which of the two */
    uint16_t index;  /* of the controller */
    uint8_t status;  /* 0: what follows holds */
    /* Read Controller Information */
    uint32_t settings;
    /* Get Connection Information; the address is there after a failure too, if has_address */
    bool has_address;
    uint8_t address[6]; /* little endian */
    uint8_t type;       /* BDADDR_LE_PUBLIC, BDADDR_LE_RANDOM */
    int rssi_dbm;       /* 127: none */
};

/* Both return how many octets they wrote. */
size_t sh_mgmt_ask_info(uint16_t index, uint8_t out[SH_MGMT_ASK_MAX]);
size_t sh_mgmt_ask_conn_info(uint16_t index, const uint8_t address[6], uint8_t type,
                             uint8_t out[SH_MGMT_ASK_MAX]);

/* A packet of the management socket. false: not an answer to one of the two, or cut. */
SH_MUST_USE bool sh_mgmt_answer_read(struct sh_bytes packet, struct sh_mgmt_answer *ret_answer);

#endif
