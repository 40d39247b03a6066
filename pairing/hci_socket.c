/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/hci_socket.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int sh_hci_socket(uint16_t index, uint16_t channel)
{
    int fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, BTPROTO_HCI);
    const struct sockaddr_hci address = {
        .hci_family = AF_BLUETOOTH, .hci_dev = index, .hci_channel = channel};
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int sh_hci_socket_of_command(uint16_t index, uint16_t opcode)
{
    const struct hci_filter filter = {
        .type_mask = 1U << HCI_EVENT_PKT,
        .event_mask = {1U << EVT_CMD_COMPLETE | 1U << EVT_CMD_STATUS},
        .opcode = htobs(opcode),
    };
    int fd = sh_hci_socket(index, HCI_CHANNEL_RAW);
    if (fd >= 0 && setsockopt(fd, SOL_HCI, HCI_FILTER, &filter, sizeof(filter)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}
