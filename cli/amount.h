/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Octets as a person reads them: "20.0 MiB", "950 B".
 */
#ifndef SIMHOP_CLI_AMOUNT_H
#define SIMHOP_CLI_AMOUNT_H

#include "proto/base.h"

struct sh_unit {
    const char *name;
    double size;
};
/* The largest that is not more than this. */
struct sh_unit sh_unit_of(uint64_t octets);

struct sh_amount {
    char text[48];
};
/* In the unit of `like`, with its name if it is to be said. */
struct sh_amount sh_amount(uint64_t octets, uint64_t like, bool named);

#endif
