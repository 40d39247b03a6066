/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a device called rfkill says: events of the size that the first octet gives, then names. */
#include "system/rfkill_table.h"

#include <string.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_rfkill_table table = {.count = 0};
    struct sh_rfkill states[SH_RFKILL_TYPES];
    char names[SH_RFKILL_NAME] = "";
    if (size == 0)
        return 0;
    size_t step = 1 + data[0] % 16;
    for (size_t at = 1; at < size; at += step) {
        struct sh_rfkill_event event;
        struct sh_bytes piece = SH_BYTES(data + at, SH_MIN(step, size - at));
        if (sh_rfkill_event_read(piece, &event))
            sh_rfkill_table_apply(&table, &event);
        sh_rfkill_name_add(names, piece);
        fuzz_assert(strlen(names) < SH_RFKILL_NAME && !strchr(names, '\n'));
    }
    fuzz_assert(table.count <= SH_RFKILL_SWITCHES);
    sh_rfkill_table_sum(&table, "/nowhere", states);
    size_t switches = 0;
    for (int i = 0; i < SH_RFKILL_TYPES; i++) {
        fuzz_assert(states[i].shut <= states[i].switches);
        fuzz_assert(states[i].shut <= states[i].soft + states[i].hard);
        fuzz_assert((states[i].shut > 0) == (states[i].blocked[0] != '\0'));
        fuzz_assert(strlen(states[i].blocked) < SH_RFKILL_NAME);
        enum sh_cause cause =
            sh_rfkill_cause(states, (enum sh_rfkill_type)i, i % 2 ? "hci0" : NULL);
        fuzz_assert(cause == SH_OK || states[i].shut == states[i].switches);
        switches += states[i].switches;
    }
    fuzz_assert(switches == table.count);
    return 0;
}
