/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A raw socket to a controller (Bluetooth sockets of Linux, net/bluetooth/hci_sock.c; it needs CAP_NET_RAW for most of what it
 * is good for). */
#ifndef SIMHOP_PAIRING_HCI_SOCKET_H
#define SIMHOP_PAIRING_HCI_SOCKET_H

#include <stdint.h>

/* Non-blocking, bound to hciINDEX (HCI_DEV_NONE: none) and HCI_CHANNEL_...; the caller closes it. -1 with errno. */
int sh_hci_socket(uint16_t index, uint16_t channel);

/* The same for one command (opcode) of the controller, whose answers are all that it hears, also those to others who asked. */
int sh_hci_socket_of_command(uint16_t index, uint16_t opcode);

#endif
