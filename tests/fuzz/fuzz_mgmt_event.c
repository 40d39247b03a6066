/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel's management socket gives. */
#include "fuzz/fuzz.h"
#include "pairing/mgmt_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_mgmt_answer answer;
    if (!sh_mgmt_answer_read(SH_BYTES(data, size), &answer))
        return 0;
    fuzz_assert(answer.opcode == SH_MGMT_READ_INFO || answer.opcode == SH_MGMT_CONN_INFO);
    fuzz_assert(answer.rssi_dbm >= -127 && (answer.rssi_dbm <= 20 || answer.rssi_dbm == 127));
    return 0;
}
