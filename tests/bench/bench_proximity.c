/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one sample costs: a million samples of a `measure` that does not end early, each added and the estimate asked for, each timed
 * by itself. Prints one line; the clock's own cost, timed likewise, beside it. usage: bench_proximity
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pairing/proximity.h"

#define SAMPLES   1000000
#define PERIOD_MS 33   /* 30 a second */
#define EACH      1500 /* samples of one engine: it never decides in `approach` for good */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, double *ns)
{
    qsort(ns, SAMPLES, sizeof(*ns), by_size);
    printf("%s: median %.0f ns, 99 %% %.0f ns, 99.99 %% %.0f ns, longest %.0f ns of %d\n", what,
           ns[SAMPLES / 2], ns[SAMPLES / 100 * 99], ns[SAMPLES / 10000 * 9999], ns[SAMPLES - 1],
           SAMPLES);
}

int main(void)
{
    struct sh_proximity_config config = {.use = SH_PROXIMITY_APPROACH,
                                         .level = {sh_level_best(-60.0, -60.0)}};
    struct sh_proximity *proximity = NULL;
    double *ns = calloc(SAMPLES, sizeof(*ns)), *clock_ns = calloc(SAMPLES, sizeof(*ns));
    unsigned accepted = 0;
    for (unsigned i = 0; ns && clock_ns && i < SAMPLES; i++) {
        if (i % EACH == 0) {
            sh_proximity_free(proximity);
            proximity = sh_proximity_new(&config);
        }
        struct sh_proximity_sample sample = {.at = (sh_ms)(i % EACH) * PERIOD_MS,
                                             .dbm = -60 - (int)(i * 7919 % 17) + 8,
                                             .channel = (uint8_t)(i % 37)};
        double from = now_ns();
        clock_ns[i] = now_ns() - from;
        from = now_ns();
        sh_proximity_add(proximity, &sample);
        struct sh_proximity_estimate estimate = sh_proximity_at(proximity, sample.at);
        ns[i] = now_ns() - from;
        accepted += estimate.verdict == SH_PROXIMITY_ACCEPT;
    }
    int failed = !ns || !clock_ns || accepted == 0;
    if (!failed) {
        tell("one sample and its estimate", ns);
        tell("the clock alone", clock_ns);
    }
    sh_proximity_free(proximity);
    free(ns);
    free(clock_ns);
    return failed;
}
