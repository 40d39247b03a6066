/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The anchor at work: it advertises, takes connections, runs a session for each, and hands every LAN connection to the
 * session whose key it has; one that shows a token instead begins a session. Connections that say nothing are bounded in number and time: the oldest makes room.
 * So are sessions: a few that came by radio and whose codes a person reads, and many of linked devices over the network. All take
 * turns: a session serves a few pieces when it is its turn, and between turns of some milliseconds in all whatever came in is looked at.
 */
#ifndef SIMHOP_CLI_SHARE_H
#define SIMHOP_CLI_SHARE_H

#include "cli/edge.h"
#include "cli/events.h"

#define SH_SHARE_SESSIONS 8  /* by radio, that have greeted us */
#define SH_SHARE_SILENT   32 /* that have not yet */
#define SH_SHARE_DIRECT                                                                            \
    1000 /* of linked devices over the network, unless the config says another number */

struct sh_share_config {
    const struct sh_common *common;
    struct sh_output *out;
    struct sh_trace_file *trace; /* of it; begun anew now and then */
    struct sh_tracer *tracer;    /* what is seen is recorded there; NULL: nowhere */
    const struct sh_identity *identity;
    struct sh_registry *registry;
    struct sh_item *const *items;
    size_t item_count;
    const struct sh_bundle *draft; /* may be NULL */
    int device_kind;
    enum sh_proximity_policy policy;
    unsigned direct_max; /* sessions of linked devices over the network at once; 0: as usual */
    bool once; /* end with the first device that took part; others' transfers go on to their ends */
    bool
        calibrate; /* linked devices may calibrate our level; with nothing to share, nothing else is done */
};

/* Shares until stopped (or once). SH_OK: at least one device is done and nothing was cut off. */
SH_MUST_USE enum sh_cause sh_share_run(const struct sh_share_config *config);

#endif
