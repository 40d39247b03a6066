/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the runs of an operation ended in which something was swallowed: counted, and printed as a row of a table. */
#ifndef SIMHOP_TESTS_UNIT_STALL_TABLE_H
#define SIMHOP_TESTS_UNIT_STALL_TABLE_H

#include <stdio.h>

#include "proto/cause.h"

struct stall_cell {
    unsigned runs, done, causes[SH_CAUSE_COUNT];
    sh_ms longest;
};

static void stall_count(struct stall_cell *cell, bool done, enum sh_cause cause, sh_ms took)
{
    cell->runs++;
    cell->done += done;
    cell->causes[cause]++;
    cell->longest = SH_MAX(cell->longest, took);
}

static void stall_head(void)
{
    printf("%-18s %-15s %5s %5s %10s %10s  %s\n", "operation", "swallowed", "runs", "done",
           "longest s", "deadline s", "causes");
}

static void stall_row(const char *operation, const char *swallowed, const struct stall_cell *cell,
                      sh_ms deadline)
{
    printf("%-18s %-15s %5u %5u %10.1f %10.1f ", operation, swallowed, cell->runs, cell->done,
           (double)cell->longest / 1000, (double)deadline / 1000);
    for (int cause = SH_OK + 1; cause < SH_CAUSE_COUNT; cause++) {
        if (cell->causes[cause])
            printf(" %s %u", sh_cause_info((enum sh_cause)cause)->name, cell->causes[cause]);
    }
    printf("\n");
}

#endif
