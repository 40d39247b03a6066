/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/l2cap_socket.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/l2cap.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairing/l2cap.h"
#include "proto/log.h"

#define NOBODYS_PSM 0x7f /* reserved (Assigned Numbers 2.5) */
#define PSM_FIRST   0x80
#define PSM_LAST    0xff
#define BACKLOG     8

static struct sockaddr_l2 socket_address(const struct sh_bdaddr *address, uint8_t psm)
{
    return (struct sockaddr_l2){
        .l2_family = AF_BLUETOOTH,
        .l2_psm = htobs(psm),
        .l2_bdaddr = address->octets,
        .l2_bdaddr_type = address->type,
    };
}

/* The socket, or -1 with errno. */
static int open_socket(void)
{
    const struct bt_security low = {.level = BT_SECURITY_LOW};
    int fd = socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, BTPROTO_L2CAP);
    if (fd >= 0 && setsockopt(fd, SOL_BLUETOOTH, BT_SECURITY, &low, sizeof(low)) != 0)
        sh_log("l2cap: BT_SECURITY: %s", strerror(errno));
    return fd;
}

static enum sh_cause unsupported(int error)
{
    if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS)
        return sh_fail(SH_ENV_RADIO_FAILED, "L2CAP socket: %s", strerror(error));
    return sh_fail(SH_BLUETOOTH_UNSUPPORTED, "L2CAP socket: %s", strerror(error));
}

enum sh_cause sh_l2cap_supported(void)
{
    sh_autoclose int fd = open_socket();
    return fd < 0 ? unsupported(errno) : SH_OK;
}

/* After bind, which makes it a channel of LE, and before it is used. */
static void size_sdus(int fd)
{
    const uint16_t mtu = SH_L2CAP_SDU_IN;
    if (setsockopt(fd, SOL_BLUETOOTH, BT_RCVMTU, &mtu, sizeof(mtu)) != 0)
        sh_log("l2cap: BT_RCVMTU: %s", strerror(errno));
}

enum sh_cause sh_l2cap_socket_listen(const struct sh_bdaddr *own, int *ret_fd, uint8_t *ret_psm)
{
    int error = EADDRINUSE;
    sh_autoclose int fd = open_socket();
    if (fd < 0)
        return unsupported(errno);
    unsigned psm = PSM_FIRST - 1;
    while (error == EADDRINUSE && psm < PSM_LAST) {
        struct sockaddr_l2 address = socket_address(own, (uint8_t)++psm);
        error = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    }
    if (error == 0) {
        size_sdus(fd);
        error = listen(fd, BACKLOG) == 0 ? 0 : errno;
    }
    if (error != 0)
        return sh_fail(SH_ENV_RADIO_FAILED, "L2CAP listen: %s", strerror(error));
    *ret_fd = fd;
    *ret_psm = (uint8_t)psm;
    fd = -1;
    return SH_OK;
}

enum sh_cause sh_l2cap_socket_call(const struct sh_bdaddr *own, const struct sh_bdaddr *peer,
                                   uint8_t psm, int *ret_fd)
{
    sh_autoclose int fd = open_socket();
    if (fd < 0)
        return unsupported(errno);
    struct sockaddr_l2 from = socket_address(own, 0), to = socket_address(peer, psm);
    if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
        return sh_l2cap_cause(errno);
    size_sdus(fd);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
        return sh_l2cap_cause(errno);
    *ret_fd = fd;
    fd = -1;
    return SH_OK;
}

void sh_l2cap_socket_spare(const struct sh_bdaddr *own, const struct sh_bdaddr *peer,
                           struct sh_l2cap_spares *spares)
{
    sh_l2cap_spares_close(spares);
    while (spares->n < SH_L2CAP_SPARES &&
           sh_l2cap_socket_call(own, peer, NOBODYS_PSM, &spares->fd[spares->n]) == SH_OK)
        spares->n++;
}

void sh_l2cap_spares_close(struct sh_l2cap_spares *spares)
{
    while (spares->n > 0)
        close(spares->fd[--spares->n]);
}

bool sh_l2cap_link(int fd, uint16_t *ret_handle, struct sh_bdaddr *ret_peer)
{
    struct l2cap_conninfo info = {0};
    struct sockaddr_l2 peer = {0};
    socklen_t info_size = sizeof(info), peer_size = sizeof(peer);
    if (getsockopt(fd, SOL_L2CAP, L2CAP_CONNINFO, &info, &info_size) != 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_size) != 0 ||
        peer.l2_family != AF_BLUETOOTH)
        return false;
    *ret_handle = info.hci_handle;
    *ret_peer = (struct sh_bdaddr){.octets = peer.l2_bdaddr, .type = peer.l2_bdaddr_type};
    return true;
}
