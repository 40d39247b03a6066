/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What bluetoothd sends of a procedure of Channel Sounding, and what the engine makes of it. */
#include <math.h>

#include "fuzz/fuzz.h"
#include "pairing/sounding_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_sounding_reader reader;
    struct sh_sounding_step step;
    if (!sh_sounding_reader_open(SH_BYTES(data, size), &reader))
        return 0;
    fuzz_assert(size <= SH_SOUNDING_DATA_MAX);
    struct sh_sounding *sounding = sh_sounding_new();
    if (!sounding)
        return 0;
    for (size_t n = 0; sh_sounding_reader_next(&reader, &step); n++) {
        fuzz_assert(step.mode <= 3 && n < size);
        sh_sounding_add(sounding, &step);
    }
    fuzz_assert(reader.initiator.left.n <= size && reader.reflector.left.n <= size);
    sh_sounding_complete(sounding);
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    fuzz_assert((e.verdict == SH_SOUNDING_GOOD) == !isnan(e.metres));
    fuzz_assert(isnan(e.metres) || (e.metres >= 0.0 && e.metres < 5000.0 && e.sd_m > 0.0));
    fuzz_assert(isnan(e.phase_m) || (e.phase_m > -10.0 && e.phase_m < 150.0));
    sh_sounding_free(sounding);
    return 0;
}
