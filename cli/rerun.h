/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A recorded run once more, an engine: what its engines were given is given to the same engines again, at the times of the record, and
 * they are asked when they were asked then: what was decided by a millisecond is decided by it again.
 *   the search (cli/nearby.h)             what was heard -> who is picked, or near.too-far
 *   the measurement (pairing/proximity.h) signal strengths -> near or not; the same while the code is awaited (pairing/away.h)
 *   both ends' samples (pairing/nearness.h)
 *   the ladder, the ways and the patience of a transfer (transfer/ladder.h, paths.h, patience.h)
 * They decide anew; what the record says of their decisions is only compared. What they do not decide (the code, keys, the disk, a word
 * of the other device, a person) is taken from the record.
 */
#ifndef SIMHOP_CLI_RERUN_H
#define SIMHOP_CLI_RERUN_H

#include "cli/trace.h"
#include "pairing/handshake.h"

#define SH_RERUN_RECORDS 65536 /* of one run at most; more lines than SH_TRACER_MAX octets can be */

struct sh_rerun_result {
    enum sh_role role;
    sh_ms at;      /* seconds since 1970 at which it began, by its own clock */
    bool complete; /* its end is recorded; else recorded is what came last */
    bool full;     /* the room of the record was used up: ends after that are taken as they are */
    int64_t lost;  /* lines that are missing */
    unsigned sessions;
    size_t records;
    int64_t octets[4], resumed; /* over each Simhop__LinkKind */
    enum sh_cause recorded, replayed;
    sh_ms recorded_ms, replayed_ms; /* of the run's own time */
    bool same;
    const char *why; /* where they part; static */
};

/* records: of one run, the first of them its SH_TRACE_RUN; sorted by this call. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_rerun(struct sh_trace_record *records, size_t count,
                                   struct sh_rerun_result *ret_result);

#endif
