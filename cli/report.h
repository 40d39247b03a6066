/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A report (docs/report.md), read: lines of JSON, the first one {"report":"simhop","format":1,...}, then whatever a person may want to
 * know, and the records of runs (cli/trace.h), each run from its SH_TRACE_RUN on. It comes from somebody else, so everything in it has
 * a limit and what is wrong is told with its line. Lines that are no records are passed over: a newer version may say more.
 */
#ifndef SIMHOP_CLI_REPORT_H
#define SIMHOP_CLI_REPORT_H

#include "cli/trace.h"

#define SH_REPORT_FORMAT 1
#define SH_REPORT_MAX    (16U << 20)
#define SH_REPORT_RUNS   16

struct sh_report_run {
    struct sh_trace_record *records; /* malloc'ed; the first is the SH_TRACE_RUN */
    size_t count, room;
};

struct sh_report {
    char version[16]; /* of the simhop that wrote it; "" if it does not say, or not cleanly */
    struct sh_report_run runs[SH_REPORT_RUNS];
    size_t count;
    uint64_t passed_over; /* lines that are no records */
};

/* Fails with usage.bad-input (the detail has the number of the line) and env.no-memory. *ret_report: zeroed by the caller, and to be
 * cleared after a failure too. */
SH_MUST_USE enum sh_cause sh_report_read(struct sh_bytes file, struct sh_report *ret_report);
void sh_report_clear(struct sh_report *report);

#endif
