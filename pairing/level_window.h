/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Levels over time, in blocks of 250 ms: what the rule of pairing/proximity.h looks at. Samples that come
 * closely together see the same fading, so a block counts once however many it has. Constant memory: a
 * ring of 16 s.
 */
#ifndef SIMHOP_PAIRING_LEVEL_WINDOW_H
#define SIMHOP_PAIRING_LEVEL_WINDOW_H

#include "proto/base.h"

#define SH_BLOCK_MS 250
#define SH_BLOCKS   64

struct sh_level_block {
    uint64_t number; /* since the first sample */
    unsigned samples;
    double sum_db, sum_power;
};

struct sh_level_window {
    struct sh_level_block ring[SH_BLOCKS];
    bool begun;
    sh_ms first;
};

struct sh_level_sum {
    unsigned blocks, samples;
    double mean_db;  /* of the block means; NAN without samples */
    double power_db; /* of the power means of the blocks, none above mean_db + 10, as a level */
    double spread_db;
};

/* Times must not run backwards. db: any finite level. */
void sh_level_window_add(struct sh_level_window *window, sh_ms at, double db);

/* Over the blocks that begin no earlier than a block's length before from. */
struct sh_level_sum sh_level_window_since(const struct sh_level_window *window, sh_ms from);

#endif
