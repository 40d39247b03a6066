/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/amount.h"

#include <stdio.h>

struct sh_unit sh_unit_of(uint64_t octets)
{
    static const struct sh_unit units[] = {
        {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776.0},
    };
    size_t i = 0;
    while (i + 1 < SH_COUNT(units) && (double)octets >= units[i + 1].size)
        i++;
    return units[i];
}

struct sh_amount sh_amount(uint64_t octets, uint64_t like, bool named)
{
    struct sh_amount a;
    struct sh_unit unit = sh_unit_of(like);
    snprintf(a.text, sizeof(a.text), "%.*f%s%s", unit.size > 1 ? 1 : 0, (double)octets / unit.size,
             named ? " " : "", named ? unit.name : "");
    return a;
}
