/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/rate.h"

#include <math.h>

void sh_rate_add(struct sh_rate *rate, sh_ms now, uint64_t bytes)
{
    unsigned last = (rate->next + SH_RATE_POINTS - 1) % SH_RATE_POINTS;
    if (rate->count > 0 && bytes < rate->points[last].bytes)
        rate->count = 0;
    rate->points[rate->next].t = now;
    rate->points[rate->next].bytes = bytes;
    rate->next = (rate->next + 1) % SH_RATE_POINTS;
    rate->count = SH_MIN(rate->count + 1, (unsigned)SH_RATE_POINTS);
}

double sh_rate_now(const struct sh_rate *rate)
{
    if (rate->count < 2)
        return 0.0;
    unsigned last = (rate->next + SH_RATE_POINTS - 1) % SH_RATE_POINTS, first = last;
    for (unsigned i = 1; i < rate->count; i++) {
        unsigned at = (last + SH_RATE_POINTS - i) % SH_RATE_POINTS;
        first = at;
        if (rate->points[last].t >= rate->points[at].t + SH_RATE_MS)
            break;
    }
    sh_ms span = rate->points[last].t - rate->points[first].t;
    if (span == 0)
        return 0.0;
    return (double)(rate->points[last].bytes - rate->points[first].bytes) * 1000.0 / (double)span;
}

double sh_rate_eta(const struct sh_rate *rate, uint64_t bytes, uint64_t total)
{
    double now = sh_rate_now(rate);
    if (now <= 0.0 || bytes > total)
        return (double)NAN;
    return (double)(total - bytes) / now;
}
