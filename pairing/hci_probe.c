/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/hci_probe.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairing/hci_packet.h"
#include "pairing/hci_socket.h"
#include "pairing/mgmt_packet.h"
#include "system/clock.h"

static enum sh_cause opening_failed(uint16_t index, enum sh_cause otherwise)
{
    if (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT)
        return sh_fail(SH_BLUETOOTH_UNSUPPORTED, "HCI socket: %s", strerror(errno));
    return sh_fail(otherwise, "hci%u: HCI socket: %s", index, strerror(errno));
}

/* The next packet into bytes; 0: none came in time. */
static size_t receive(int fd, uint64_t until, uint8_t *bytes, size_t size)
{
    for (uint64_t now = sh_now(); now < until; now = sh_now()) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        /* waits: the socket is non-blocking */
        ssize_t n = recv(fd, bytes, size, 0);
        if (n > 0)
            return (size_t)n;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return 0;
        /* waits: until the limit, at most */
        poll(&waits, 1, (int)(until - now));
    }
    return 0;
}

enum sh_cause sh_hci_probe_rssi(uint16_t index, unsigned limit_ms)
{
    uint8_t packet[SH_HCI_EVENT_MAX];
    struct sh_hci_rssi answer;
    sh_autoclose int fd = sh_hci_socket_of_command(index, SH_HCI_READ_RSSI);
    if (fd < 0)
        return opening_failed(index, SH_NEAR_NO_SIGNAL);
    sh_hci_read_rssi(SH_HCI_HANDLE_MAX, packet);
    if (send(fd, packet, SH_HCI_READ_RSSI_SIZE, MSG_NOSIGNAL) != SH_HCI_READ_RSSI_SIZE)
        return sh_fail(SH_NEAR_NO_SIGNAL, "hci%u: Read RSSI: %s", index, strerror(errno));
    uint64_t until = sh_now() + limit_ms;
    for (;;) {
        size_t n = receive(fd, until, packet, sizeof(packet));
        if (n == 0)
            return sh_fail(SH_NEAR_NO_SIGNAL, "hci%u does not answer Read RSSI", index);
        if (!sh_hci_rssi_answer(SH_BYTES(packet, n), &answer))
            continue;
        if (answer.status == SH_HCI_UNKNOWN_COMMAND)
            return sh_fail(SH_NEAR_NO_SIGNAL, "hci%u does not know Read RSSI", index);
        return SH_OK;
    }
}

enum sh_cause sh_hci_probe_settings(uint16_t index, unsigned limit_ms, uint32_t *ret_settings)
{
    uint8_t packet[SH_MGMT_EVENT_MAX];
    struct sh_mgmt_answer answer;
    sh_autoclose int fd = sh_hci_socket(HCI_DEV_NONE, HCI_CHANNEL_CONTROL);
    if (fd < 0)
        return opening_failed(index, SH_ENV_RADIO_FAILED);
    size_t size = sh_mgmt_ask_info(index, packet);
    if (send(fd, packet, size, MSG_NOSIGNAL) != (ssize_t)size)
        return sh_fail(SH_ENV_RADIO_FAILED, "hci%u: %s", index, strerror(errno));
    uint64_t until = sh_now() + limit_ms;
    for (;;) {
        size_t n = receive(fd, until, packet, sizeof(packet));
        if (n == 0)
            return sh_fail(SH_ENV_RADIO_FAILED, "hci%u: the kernel does not answer", index);
        if (!sh_mgmt_answer_read(SH_BYTES(packet, n), &answer) ||
            answer.opcode != SH_MGMT_READ_INFO || answer.index != index)
            continue;
        if (answer.status != 0)
            return sh_fail(SH_BLUETOOTH_NO_ADAPTER, "hci%u is not here (status %u)", index,
                           answer.status);
        *ret_settings = answer.settings;
        return SH_OK;
    }
}
