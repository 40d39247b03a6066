/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The threads beside the loop of share and sync: one that hashes, reads and writes, one that syncs. When they have done something a tick
 * is due. */
#ifndef SIMHOP_CLI_BACKGROUND_H
#define SIMHOP_CLI_BACKGROUND_H

#include "cli/edge.h"
#include "system/worker.h"

struct sh_background {
    struct sh_worker *worker, *syncer;
    struct event *ended[2];
};

/* The edge is open, and closed later than this. Fails with env.no-memory; sh_background_close after that too. */
SH_MUST_USE enum sh_cause sh_background_open(struct sh_background *background,
                                             struct sh_edge *edge);
/* Whoever gave them work is gone. Does not wait for a disk that hangs. */
void sh_background_close(struct sh_background *background);

#endif
