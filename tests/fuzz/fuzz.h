/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every fuzzer defines: one input, judged by the sanitizers and by fuzz_assert. */
#ifndef SIMHOP_TESTS_FUZZ_FUZZ_H
#define SIMHOP_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(), which a release build drops. */
#define fuzz_assert(what)                                                                          \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

#endif
