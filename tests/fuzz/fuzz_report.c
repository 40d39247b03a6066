/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A report, and its runs driven to their ends: the same report gives the same ends, and each record is written as it was read. */
#include <string.h>

#include "cli/report.h"
#include "cli/rerun.h"
#include "fuzz/fuzz.h"

static void check_line(const struct sh_trace_record *record)
{
    char line[SH_TRACE_LINE_MAX + 1];
    struct sh_trace_record again;
    const char *why = NULL;
    size_t n = sh_trace_encode(record, line);
    fuzz_assert(n > 0 && n <= SH_TRACE_LINE_MAX && line[n - 1] == '\n');
    fuzz_assert(sh_trace_decode(SH_BYTES(line, n - 1), &again, &why) == SH_LINE_RECORD);
    fuzz_assert(again.kind == record->kind && again.at == record->at &&
                again.session == record->session);
    fuzz_assert(memcmp(again.v, record->v, sh_trace_count(again.kind) * sizeof(again.v[0])) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SH_CLEANUP(sh_report_clear) struct sh_report report = {.count = 0};
    if (sh_report_read(SH_BYTES(data, size), &report) != SH_OK)
        return 0;
    for (size_t i = 0; i < report.count; i++) {
        struct sh_report_run *run = &report.runs[i];
        struct sh_rerun_result first, second;
        for (size_t k = 0; k < run->count; k++)
            check_line(&run->records[k]);
        fuzz_assert(sh_rerun(run->records, run->count, &first) == SH_OK);
        fuzz_assert(sh_rerun(run->records, run->count, &second) == SH_OK);
        fuzz_assert(first.same == second.same && first.replayed == second.replayed &&
                    first.recorded == second.recorded);
        fuzz_assert(!first.same || !first.complete || first.recorded == first.replayed);
    }
    return 0;
}
