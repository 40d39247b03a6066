/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a raw HCI socket gives. */
#include "fuzz/fuzz.h"
#include "pairing/hci_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_hci_rssi answer;
    if (!sh_hci_rssi_answer(SH_BYTES(data, size), &answer))
        return 0;
    fuzz_assert(answer.dbm >= -127 && (answer.dbm <= 20 || answer.dbm == SH_HCI_NO_RSSI));
    fuzz_assert(answer.status != 0 || (answer.has_handle && answer.handle <= SH_HCI_HANDLE_MAX));
    return 0;
}
