/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets of L2CAP LE credit-based channels (Bluetooth Core 5.4 vol 3 part A section 10.1; kernel
 * net/bluetooth/l2cap_sock.c). Nothing here waits.
 *
 * No security is asked of the link (BT_SECURITY_LOW): simhop's own channel does that.
 */
#ifndef SIMHOP_PAIRING_L2CAP_SOCKET_H
#define SIMHOP_PAIRING_L2CAP_SOCKET_H

#include "pairing/bdaddr.h"
#include "proto/cause.h"

/* SH_OK, or bluetooth.unsupported: the kernel has no Bluetooth, or this namespace has none. */
SH_MUST_USE enum sh_cause sh_l2cap_supported(void);

/* Listens on an adapter's own address with the first free dynamic PSM of LE (0x80 to 0xFF; vol 3 part
 * A section 4.22). The caller owns the socket. Fails with bluetooth.unsupported, bluetooth.off, env.radio-failed. */
SH_MUST_USE enum sh_cause sh_l2cap_socket_listen(const struct sh_bdaddr *own, int *ret_fd,
                                                 uint8_t *ret_psm);
/* Begins to connect from an adapter's own address. Fails with bluetooth.unsupported or what
 * sh_l2cap_cause says. */
SH_MUST_USE enum sh_cause sh_l2cap_socket_call(const struct sh_bdaddr *own,
                                               const struct sh_bdaddr *peer, uint8_t psm,
                                               int *ret_fd);
/* Calls that nobody takes, made just after one of sh_l2cap_socket_call that is the first on its link. The kernel asks in the reverse
 * order, so the numbers of their requests are spent before that of the call, and what the peer's own Bluetooth service
 * asks at the same time has other ones: Linux 6.1 takes an answer for that of any channel with its number. They are
 * refused; close them when the call is over. */
#define SH_L2CAP_SPARES 16
struct sh_l2cap_spares {
    int fd[SH_L2CAP_SPARES];
    unsigned n;
};
void sh_l2cap_socket_spare(const struct sh_bdaddr *own, const struct sh_bdaddr *peer,
                           struct sh_l2cap_spares *spares);
void sh_l2cap_spares_close(struct sh_l2cap_spares *spares);

/* The link below a channel that is up, and who is at its other end. false: it is not up. */
SH_MUST_USE bool sh_l2cap_link(int fd, uint16_t *ret_handle, struct sh_bdaddr *ret_peer);

#endif
