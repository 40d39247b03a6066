/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration file. */
#include "fuzz/fuzz.h"
#include "pairing/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_policy_limits limits = {0};
    enum sh_proximity_policy policy = SH_POLICY_NORMAL;
    if (sh_policy_read(SH_BYTES(data, size), &limits) != SH_OK)
        return 0;
    fuzz_assert(!limits.has_least || limits.least != SH_POLICY_OFF);
    fuzz_assert(sh_policy_choose(NULL, &limits, &policy) == SH_OK && policy != SH_POLICY_OFF);
    return 0;
}
