/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast an item comes in, from its verified bytes: the mean over the last seconds, and the time that is left.
 */
#ifndef SIMHOP_CLI_RATE_H
#define SIMHOP_CLI_RATE_H

#include "proto/base.h"

#define SH_RATE_POINTS 16
#define SH_RATE_MS     3000

struct sh_rate {
    struct {
        sh_ms t;
        uint64_t bytes;
    } points[SH_RATE_POINTS]; /* a ring */
    unsigned count, next;
};

/* A new state of the same item; fewer bytes than before begin another one. */
void sh_rate_add(struct sh_rate *rate, sh_ms now, uint64_t bytes);
/* Octets a second over at most SH_RATE_MS; 0 while unknown. */
double sh_rate_now(const struct sh_rate *rate);
/* Seconds for the rest, NAN while unknown. */
double sh_rate_eta(const struct sh_rate *rate, uint64_t bytes, uint64_t total);

#endif
