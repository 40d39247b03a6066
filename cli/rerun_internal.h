/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the replay's own files: rerun.c (the run), rerun_search.c (who is picked), rerun_near.c (nearness), rerun_links.c (a
 * transfer's links).
 */
#ifndef SIMHOP_CLI_RERUN_INTERNAL_H
#define SIMHOP_CLI_RERUN_INTERNAL_H

#include "cli/nearby.h"
#include "cli/rerun.h"
#include "cli/tracer.h"
#include "pairing/away.h"
#include "pairing/nearness.h"
#include "transfer/ladder.h"
#include "transfer/paths.h"
#include "transfer/patience.h"

#define RERUN_LINKED 32

/* ---- The search ---- */

struct rerun_search {
    struct sh_nearby *nearby;
    struct sh_device *linked; /* RERUN_LINKED, each for the senders of some numbers */
    double known_dbm[RERUN_LINKED];
    enum sh_phase phase;
    bool cut;          /* how it began is not in the record: what it came to is taken as it was */
    unsigned picked;   /* sender; 0: nobody */
    enum sh_cause end; /* what it ended with, SH_OK: it goes on, or somebody is picked */
};

SH_MUST_USE enum sh_cause rerun_search_begin(struct rerun_search *search, bool far, sh_ms now);
void rerun_search_clear(struct rerun_search *search);
SH_MUST_USE enum sh_cause rerun_search_heard(struct rerun_search *search,
                                             const struct sh_trace_record *record);
void rerun_search_look(struct rerun_search *search, sh_ms now);

/* ---- Nearness ---- */

struct rerun_near {
    struct sh_proximity *proximity, *watch;
    enum sh_proximity_rule rule;
    struct sh_level level;
    bool optional, decided;
    sh_ms begun;
    struct sh_proximity_estimate estimate; /* that decided */
    struct sh_samples ours, theirs;
    struct sh_away away;
};

SH_MUST_USE enum sh_cause rerun_near_begin(struct rerun_near *near,
                                           const struct sh_trace_record *record);
void rerun_near_clear(struct rerun_near *near);
/* Each returns SH_OK, or what it ends with. */
enum sh_cause rerun_near_record(struct rerun_near *near, const struct sh_trace_record *record);
enum sh_cause rerun_near_tick(struct rerun_near *near, sh_ms now);

/* ---- Links ---- */

struct rerun_links {
    struct sh_ladder *ladder; /* NULL: no transfer yet */
    struct sh_paths paths;
    struct sh_patience patience;
    unsigned carriers; /* links that are up */
    int64_t left, more;
    bool has_items;
    sh_ms now; /* of the session: without the machine's sleep */
    /* Offers are taken all at once. */
    struct {
        int kind;
        int64_t tag, v6, v4;
    } offers[SH_PATHS_KINDS];
    size_t offer_count;
    /* The verdict on the way just noted, for what goes down for it. */
    sh_ms judged_at;
    int judged_kind;
    enum sh_cause judged;
    unsigned dialled; /* the last attempt */
    int kinds[256];   /* of attempts, by the last octet of their number */
};

SH_MUST_USE enum sh_cause rerun_links_begin(struct rerun_links *links,
                                            const struct sh_trace_record *record, sh_ms now);
void rerun_links_clear(struct rerun_links *links);
SH_MUST_USE enum sh_cause rerun_links_record(struct rerun_links *links,
                                             const struct sh_trace_record *record, sh_ms now);
/* SH_OK, or what the transfer ends with. */
enum sh_cause rerun_links_tick(struct rerun_links *links, sh_ms now);
/* The time passes, as it does where nobody was away; no engine is asked. */
void rerun_links_pass(struct rerun_links *links, sh_ms now);

#endif
