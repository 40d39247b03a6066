/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRIP_M         0.0749481145 /* of distance, a unit of 0.5 ns of the way there and back */
#define PHASE_FLOOR_M  0.3          /* what paths too close to be told apart shift the phase by */
#define TIME_FLOOR_M   0.5          /* what the delays of two radios are known to */
#define PHASE_WORST_M  1.0          /* a deviation beyond says too little */
#define TIME_WORST_M   1.5
#define DISAGREE_SD    3.0
#define OUTLIER_SD     3.0
#define OUTLIER_LEAST  2.0    /* units: times are whole ones */
#define NORMAL_MAD     1.4826 /* a standard deviation in median absolute deviations */
#define MEDIUM_WEIGHT  0.25
#define QUALITY(octet) ((octet)&0x0f)
#define EXTENDS(octet) (((octet) >> 4) != 0)
#define QUALITY_HIGH   0
#define QUALITY_MEDIUM 1
#define PACKET_RIGHT   0
#define PACKET_MISSING 2

struct phase {
    double metres, sd_m;
};

struct sh_sounding {
    struct sh_sounding_tones tones; /* of the procedure that runs */
    struct phase phases[SH_SOUNDING_PROCEDURES];
    size_t phase_next, phase_n;
    int32_t trips[SH_SOUNDING_TRIPS]; /* units of 0.5 ns */
    size_t trip_next, trip_n;
    unsigned channels;
    bool attack, poor;
};

struct sh_sounding *sh_sounding_new(void)
{
    return calloc(1, sizeof(struct sh_sounding));
}

void sh_sounding_free(struct sh_sounding *sounding)
{
    free(sounding);
}

/* ---- a step ---- */

static bool is_attack(const struct sh_sounding_side *side)
{
    /* Of a packet that was not found there is nothing to tell. */
    return QUALITY(side->packet_quality) < PACKET_MISSING &&
           side->nadm != SH_SOUNDING_NADM_UNKNOWN && side->nadm >= SH_SOUNDING_NADM_ATTACK;
}

static void add_trip(struct sh_sounding *sounding, const struct sh_sounding_step *step)
{
    const struct sh_sounding_side *there = &step->initiator;
    const struct sh_sounding_side *back = &step->reflector;
    sounding->attack = sounding->attack || is_attack(there) || is_attack(back);
    if (QUALITY(there->packet_quality) != PACKET_RIGHT ||
        QUALITY(back->packet_quality) != PACKET_RIGHT || there->time == SH_SOUNDING_NO_TIME ||
        back->time == SH_SOUNDING_NO_TIME)
        return;
    sounding->trips[sounding->trip_next] = (int32_t)there->time - back->time;
    sounding->trip_next = (sounding->trip_next + 1) % SH_SOUNDING_TRIPS;
    sounding->trip_n = SH_MIN(sounding->trip_n + 1, (size_t)SH_SOUNDING_TRIPS);
}

/* Which antenna path the tone of this slot went (Vol 6 Part H, tables "Antenna Path Permutation"). */
static bool antenna_of(unsigned paths, unsigned permutation, unsigned slot, unsigned *ret_antenna)
{
    static const char orders[][SH_SOUNDING_ANTENNAS + 1] = {
        "1234", "2134", "1324", "3124", "3214", "2314", "1243", "2143",
        "1423", "4123", "4213", "2413", "1432", "4132", "1342", "3142",
        "3412", "4312", "4231", "2431", "4321", "3421", "3241", "2341"};
    static const size_t count[SH_SOUNDING_ANTENNAS + 1] = {0, 1, 2, 6, 24};
    if (paths > SH_SOUNDING_ANTENNAS || permutation >= count[paths] || slot >= paths)
        return false;
    /* The orders of fewer paths are those that leave the others in place. */
    *ret_antenna = (unsigned)(orders[permutation][slot] - '1');
    return true;
}

static double tone_weight(const struct sh_sounding_tone *a, const struct sh_sounding_tone *b)
{
    unsigned worst = SH_MAX(QUALITY(a->quality), QUALITY(b->quality));
    if (EXTENDS(a->quality) || EXTENDS(b->quality) || worst > QUALITY_MEDIUM)
        return 0.0;
    return worst == QUALITY_HIGH ? 1.0 : MEDIUM_WEIGHT;
}

static void add_tones(struct sh_sounding *sounding, const struct sh_sounding_step *step)
{
    if (step->channel >= SH_SOUNDING_CHANNELS ||
        step->initiator.permutation != step->reflector.permutation)
        return;
    for (unsigned slot = 0; slot < SH_SOUNDING_ANTENNAS; slot++) {
        const struct sh_sounding_tone *a = &step->initiator.tones[slot];
        const struct sh_sounding_tone *b = &step->reflector.tones[slot];
        double weight = tone_weight(a, b);
        unsigned antenna = 0;
        if (weight <= 0.0 || !antenna_of(step->paths, step->initiator.permutation, slot, &antenna))
            continue;
        sh_sounding_tone_add(&sounding->tones, antenna, step->channel,
                             (double)a->i * b->i - (double)a->q * b->q,
                             (double)a->i * b->q + (double)a->q * b->i, weight);
    }
}

void sh_sounding_add(struct sh_sounding *sounding, const struct sh_sounding_step *step)
{
    if (step->mode == 1 || step->mode == 3)
        add_trip(sounding, step);
    if (step->mode == 2 || step->mode == 3)
        add_tones(sounding, step);
}

void sh_sounding_complete(struct sh_sounding *sounding)
{
    struct sh_sounding_line line;
    enum sh_sounding_fit fit = sh_sounding_line_fit(&sounding->tones, &line);
    memset(&sounding->tones, 0, sizeof(sounding->tones));
    sounding->poor = sounding->poor || fit == SH_SOUNDING_FIT_POOR;
    if (fit != SH_SOUNDING_FIT)
        return;
    sounding->phases[sounding->phase_next] =
        (struct phase){.metres = line.metres, .sd_m = line.sd_m};
    sounding->phase_next = (sounding->phase_next + 1) % SH_SOUNDING_PROCEDURES;
    sounding->phase_n = SH_MIN(sounding->phase_n + 1, (size_t)SH_SOUNDING_PROCEDURES);
    sounding->channels = line.channels;
}

/* ---- what they say ---- */

static int compare_double(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Sorts them. n > 0 */
static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(values[0]), compare_double);
    return (values[(n - 1) / 2] + values[n / 2]) / 2.0;
}

/* How far values lie from their middle, as a standard deviation that a few outliers do not change. scratch holds n. */
static double spread(const double *values, size_t n, double middle, double *scratch)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = fabs(values[i] - middle);
    return NORMAL_MAD * median(scratch, n);
}

static void phase_now(const struct sh_sounding *sounding, struct sh_sounding_estimate *estimate)
{
    double metres[SH_SOUNDING_PROCEDURES];
    double scratch[SH_SOUNDING_PROCEDURES];
    size_t n = sounding->phase_n;
    double noise = 0.0;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        metres[i] = sounding->phases[i].metres;
        noise = SH_MAX(noise, sounding->phases[i].sd_m);
    }
    estimate->phase_m = median(metres, n);
    double each = SH_MAX(noise, spread(metres, n, estimate->phase_m, scratch));
    estimate->phase_sd_m = sqrt(each * each / (double)n + PHASE_FLOOR_M * PHASE_FLOOR_M);
    estimate->procedures = (unsigned)n;
    estimate->channels = sounding->channels;
}

static void time_now(const struct sh_sounding *sounding, struct sh_sounding_estimate *estimate)
{
    double trips[SH_SOUNDING_TRIPS];
    double scratch[SH_SOUNDING_TRIPS];
    double sum = 0.0;
    double squares = 0.0;
    double n = 0.0;
    if (sounding->trip_n == 0)
        return;
    for (size_t i = 0; i < sounding->trip_n; i++)
        trips[i] = sounding->trips[i];
    double middle = median(trips, sounding->trip_n);
    double reach = OUTLIER_SD * spread(trips, sounding->trip_n, middle, scratch);
    reach = SH_MAX(reach, OUTLIER_LEAST);
    for (size_t i = 0; i < sounding->trip_n; i++) {
        double off = trips[i] - middle;
        if (fabs(off) > reach)
            continue;
        sum += off;
        squares += off * off;
        n += 1.0;
    }
    /* The median is within reach of itself or lies between two that are 2 units and more apart: nothing counts then. */
    if (n < 1.0)
        return;
    double variance = SH_MAX(squares / n - (sum / n) * (sum / n), 0.0);
    estimate->time_m = (middle + sum / n) * TRIP_M;
    estimate->time_sd_m = sqrt(variance * TRIP_M * TRIP_M / n + TIME_FLOOR_M * TIME_FLOOR_M);
    estimate->round_trips = (unsigned)n;
}

static enum sh_sounding_verdict judge(const struct sh_sounding *sounding,
                                      const struct sh_sounding_estimate *estimate)
{
    if (sounding->attack)
        return SH_SOUNDING_ATTACK;
    if (estimate->procedures == 0 && sounding->poor)
        return SH_SOUNDING_POOR;
    if (estimate->procedures == 0 || estimate->round_trips < SH_SOUNDING_TRIPS_MIN ||
        estimate->phase_sd_m > PHASE_WORST_M || estimate->time_sd_m > TIME_WORST_M)
        return SH_SOUNDING_TOO_LITTLE;
    double noise = hypot(estimate->phase_sd_m, estimate->time_sd_m);
    if (fabs(estimate->phase_m - estimate->time_m) > DISAGREE_SD * noise ||
        SH_MAX(estimate->phase_m, estimate->time_m) < -DISAGREE_SD * noise)
        return SH_SOUNDING_DISAGREE;
    return SH_SOUNDING_GOOD;
}

struct sh_sounding_estimate sh_sounding_now(const struct sh_sounding *sounding)
{
    const double none = (double)NAN;
    struct sh_sounding_estimate estimate = {.metres = none,
                                            .sd_m = none,
                                            .phase_m = none,
                                            .phase_sd_m = none,
                                            .time_m = none,
                                            .time_sd_m = none};
    phase_now(sounding, &estimate);
    time_now(sounding, &estimate);
    estimate.verdict = judge(sounding, &estimate);
    if (estimate.verdict != SH_SOUNDING_GOOD)
        return estimate;
    bool by_phase = estimate.phase_m >= estimate.time_m;
    estimate.metres = SH_MAX(by_phase ? estimate.phase_m : estimate.time_m, 0.0);
    estimate.sd_m = by_phase ? estimate.phase_sd_m : estimate.time_sd_m;
    return estimate;
}

const char *sh_sounding_verdict_name(enum sh_sounding_verdict verdict)
{
    static const char *const names[] = {
        [SH_SOUNDING_TOO_LITTLE] = "too little",
        [SH_SOUNDING_POOR] = "poor",
        [SH_SOUNDING_ATTACK] = "attack",
        [SH_SOUNDING_DISAGREE] = "disagree",
        [SH_SOUNDING_GOOD] = "good",
    };
    return (size_t)verdict < SH_COUNT(names) ? names[verdict] : "?";
}
