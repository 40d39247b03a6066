/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The 6-digit code of the `code` consent: uniform over 10^6 (rejection sampling), good for one run of
 * the PAKE, shown as "123 456". What is typed may have spaces and dashes between the digits.
 */
#ifndef SIMHOP_CRYPTO_CODE_H
#define SIMHOP_CRYPTO_CODE_H

#include "proto/base.h"
#include "proto/cause.h"

#define SH_CODE_DIGITS 6

/* Six ASCII digits and a NUL. Wiped with sh_wipe by whoever holds it. */
struct sh_code {
    char digits[SH_CODE_DIGITS + 1];
};

/* Fails with env.random. */
SH_MUST_USE enum sh_cause sh_code_new(struct sh_code *ret_code);

/* Reads what a person typed: six ASCII digits, among them any number of spaces, dashes and a final
 * newline. At most 64 octets are looked at. false if it is anything else. */
SH_MUST_USE bool sh_code_parse(struct sh_bytes typed, struct sh_code *ret_code);

#endif
