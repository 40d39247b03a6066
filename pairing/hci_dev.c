/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/hci_dev.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <bluetooth/hci_lib.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum sh_cause sh_hci_dev_state(uint16_t index)
{
    struct hci_dev_info info = {.dev_id = index};
    sh_autoclose int fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, BTPROTO_HCI);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT))
        return sh_fail(SH_BLUETOOTH_UNSUPPORTED, "%s", strerror(errno));
    if (fd < 0)
        return SH_OK;
    if (ioctl(fd, HCIGETDEVINFO, &info) != 0)
        return errno == ENODEV ? sh_fail(SH_BLUETOOTH_NO_ADAPTER, "hci%u is gone", index) : SH_OK;
    if (!hci_test_bit(HCI_UP, &info.flags))
        return sh_fail(SH_BLUETOOTH_OFF, "hci%u", index);
    return SH_OK;
}
