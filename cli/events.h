/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a session's events to the lines that a person or a script reads; share and sync have it in common.
 */
#ifndef SIMHOP_CLI_EVENTS_H
#define SIMHOP_CLI_EVENTS_H

#include "cli/output.h"
#include "cli/rate.h"
#include "cli/session.h"

struct sh_events {
    struct sh_output *out;
    struct sh_tracer *tracer; /* NULL: nothing is recorded */
    const char *role;         /* "anchor", "secondary" */
    sh_ms started;
    struct sh_rate rate;
    char item[SH_ITEM_NAME_MAX + 1]; /* which the rate is of */
};

void sh_events_phase(struct sh_events *events, enum sh_phase phase, const char *peer);
void sh_events_proximity(struct sh_events *events, const struct sh_proximity_estimate *estimate,
                         bool final);
/* The final estimate of a side that does not demand nearness: a person reads that it goes on all the same. */
void sh_events_not_demanded(struct sh_events *events, const struct sh_proximity_estimate *estimate);
void sh_events_link(struct sh_events *events, int kind, const char *state, enum sh_cause cause);
void sh_events_progress(struct sh_events *events, const struct sh_session_progress *progress,
                        sh_ms now);
void sh_events_done(struct sh_events *events, const struct sh_session_summary *summary, sh_ms now);

/* The machine is about to sleep while bytes move; it has slept so long (0: not known), and they go on. */
void sh_events_sleeps(struct sh_output *out);
void sh_events_slept(struct sh_output *out, sh_ms slept);

#endif
