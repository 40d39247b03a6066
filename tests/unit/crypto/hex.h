/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Literal vectors: hexadecimal into octets. */
#ifndef SIMHOP_TESTS_CRYPTO_HEX_H
#define SIMHOP_TESTS_CRYPTO_HEX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cause.h"

#define assert_cause(call, cause)                                                                  \
    assert_string_equal(sh_cause_info(call)->name, sh_cause_info(cause)->name)
#define assert_ok(call) assert_cause(call, SH_OK)

/* Octets of the text, which must be exactly n of them. */
static inline void unhex(const char *text, uint8_t *out, size_t n)
{
    assert_int_equal(strlen(text), 2 * n);
    for (size_t i = 0; i < n; i++) {
        unsigned octet = 0;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &octet), 1);
        out[i] = (uint8_t)octet;
    }
}

static inline void assert_hex(const uint8_t *bytes, size_t n, const char *text)
{
    uint8_t want[256];
    assert_true(n <= sizeof(want));
    unhex(text, want, n);
    assert_memory_equal(bytes, want, n);
}

#endif
