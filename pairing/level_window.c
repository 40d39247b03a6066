/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/level_window.h"

#include <math.h>

/* A block counts for so much in the power mean at most, so that one moment, a burst or a jump, does not make it. */
#define MOST_ABOVE_DB 10.0

void sh_level_window_add(struct sh_level_window *window, sh_ms at, double db)
{
    if (!window->begun) {
        window->begun = true;
        window->first = at;
    }
    uint64_t number = (at - window->first) / SH_BLOCK_MS;
    struct sh_level_block *block = &window->ring[number % SH_BLOCKS];
    if (block->samples == 0 || block->number != number)
        *block = (struct sh_level_block){.number = number};
    if (block->samples == UINT32_MAX)
        return;
    block->samples++;
    block->sum_db += db;
    block->sum_power += pow(10.0, db / 10.0);
}

/* The number of the oldest block that counts: a block that began before `from` counts if it ends after it. */
static uint64_t oldest(const struct sh_level_window *window, sh_ms from)
{
    return from > window->first ? (from - window->first) / SH_BLOCK_MS : 0;
}

struct sh_level_sum sh_level_window_since(const struct sh_level_window *window, sh_ms from)
{
    struct sh_level_sum sum = {.mean_db = (double)NAN, .power_db = (double)NAN};
    double levels = 0.0;
    uint64_t least = oldest(window, from);
    for (size_t i = 0; i < SH_BLOCKS; i++) {
        const struct sh_level_block *block = &window->ring[i];
        if (block->samples == 0 || block->number < least)
            continue;
        sum.blocks++;
        sum.samples += block->samples;
        levels += block->sum_db / block->samples;
    }
    if (sum.blocks == 0)
        return sum;
    sum.mean_db = levels / sum.blocks;
    double most = pow(10.0, (sum.mean_db + MOST_ABOVE_DB) / 10.0);
    double powers = 0.0, squares = 0.0;
    for (size_t i = 0; i < SH_BLOCKS; i++) {
        const struct sh_level_block *block = &window->ring[i];
        if (block->samples == 0 || block->number < least)
            continue;
        double off = block->sum_db / block->samples - sum.mean_db;
        squares += off * off;
        powers += fmin(block->sum_power / block->samples, most);
    }
    sum.power_db = 10.0 * log10(powers / sum.blocks);
    if (sum.blocks > 1)
        sum.spread_db = sqrt(squares / (sum.blocks - 1));
    return sum;
}
