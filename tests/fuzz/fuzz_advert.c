/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Advertisements come from anybody within earshot. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "pairing/advert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_advert advert;
    struct sh_advert again;
    uint8_t payload[SH_ADVERT_MAX];
    if (sh_advert_decode(SH_BYTES(data, size), &advert) != SH_OK)
        return 0;
    /* What was taken is within bounds and survives a round. */
    size_t n = sh_advert_encode(&advert, payload);
    fuzz_assert(advert.version >= SH_ADVERT_VERSION && advert.psm >= 0x80);
    fuzz_assert(sh_advert_decode(SH_BYTES(payload, n), &again) == SH_OK);
    fuzz_assert(memcmp(&advert, &again, sizeof(advert)) == 0);
    return 0;
}
