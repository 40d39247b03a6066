/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One metre by both ends: the samples of both sides, judged together by the rule of pairing/proximity.h once the other side's are here
 * and fit its commitment. Each side judges for itself by its own policy; the same samples give both the same score.
 *
 * Of each recording the last three seconds are laid side by side, not both from their beginning: by those each side decided,
 * and one that was moved first, or came closer, took longer than the other.
 */
#ifndef SIMHOP_PAIRING_NEARNESS_H
#define SIMHOP_PAIRING_NEARNESS_H

#include "pairing/samples.h"

/* What was known of each other's nearness when it was decided; for whoever keeps it. */
struct sh_nearness {
    enum sh_proximity_rule rule;
    struct sh_proximity_estimate ours;  /* by our samples alone */
    struct sh_proximity_estimate joint; /* evidence.samples: those that were judged, of both */
    struct sh_level level[SH_SIDE_COUNT];
    unsigned samples[SH_SIDE_COUNT]; /* all that were exchanged */
    double rate_hz[SH_SIDE_COUNT];
    double
        offset_db; /* what we heard less what they heard, means of the blocks that were judged; NAN: one of us nothing */
    bool stepped;  /* anchor: advertisements were sent at several powers */
    bool unheard;  /* and of those at the lowest none came back */
};

struct sh_nearness_input {
    enum sh_proximity_rule rule;
    const struct sh_proximity_estimate *estimate; /* ours alone, accepted */
    const struct sh_samples *ours, *theirs;
    /* Anchor: identifiers that it advertised, each with its power; none: it did not step. */
    const struct sh_heard_id *stepped;
    size_t stepped_count;
};

/* Fails with env.no-memory only. */
SH_MUST_USE enum sh_cause sh_nearness_judge(const struct sh_nearness_input *input,
                                            struct sh_nearness *ret_nearness);

/* SH_OK, or why it is refused, with the numbers in the detail: near.asymmetric, near.too-far, and under the strict rule
 * near.unheard. */
SH_MUST_USE enum sh_cause sh_nearness_cause(const struct sh_nearness *nearness);

/* What to add to "about 1.2 m": how it could have been accepted; "" if only by coming closer. */
const char *sh_nearness_hint(const struct sh_proximity_estimate *estimate);

#endif
