/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one HCI command that the radio asks for itself, and its answers: Read RSSI (Bluetooth Core 5.4
 * vol 4 part E section 7.5.4) in packets of a raw HCI socket (part A section 2). No I/O.
 */
#ifndef SIMHOP_PAIRING_HCI_PACKET_H
#define SIMHOP_PAIRING_HCI_PACKET_H

#include "proto/base.h"

#define SH_HCI_READ_RSSI      0x1405 /* opcode */
#define SH_HCI_READ_RSSI_SIZE 6
#define SH_HCI_EVENT_MAX      260
#define SH_HCI_HANDLE_MAX     0x0eff
#define SH_HCI_NO_RSSI        127

/* Status codes (vol 1 part F section 2). */
#define SH_HCI_UNKNOWN_COMMAND    0x01
#define SH_HCI_UNKNOWN_CONNECTION 0x02

struct sh_hci_rssi {
    uint8_t status;  /* 0: dbm holds */
    bool has_handle; /* a refusal may come without one */
    uint16_t handle;
    int dbm; /* -127 to +20, or SH_HCI_NO_RSSI */
};

void sh_hci_read_rssi(uint16_t handle, uint8_t out[SH_HCI_READ_RSSI_SIZE]);

/* An HCI packet from the controller. false: not an answer to Read RSSI, or cut. A level that the standard does
 * not know reads as none. */
SH_MUST_USE bool sh_hci_rssi_answer(struct sh_bytes packet, struct sh_hci_rssi *ret_answer);

#endif
