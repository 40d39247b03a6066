/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sounding_phase.h"

#include <math.h>
#include <string.h>

#define TURN       (2.0 * 3.14159265358979323846 / SH_SOUNDING_AMBIGUITY_M) /* a metre and channel */
#define NEGATIVE_M 5.0 /* what lies so near below the ambiguity is below 0 */
#define GRID       300 /* points over the ambiguity, four a resolution cell */
#define STEP_M     (SH_SOUNDING_AMBIGUITY_M / GRID)
#define PATHS      4    /* told apart at most */
#define POLISH     3    /* rounds in which each path is found anew without the others */
#define REFINE     28   /* golden sections: 1 m to 1 um */
#define LEAST      0.25 /* of all power: the strongest path has it */
#define NOTHING    1e-9
/* A direct path has this share of the strongest one's power. With less, what paths too close to be told apart leave over
 * would pass for one that is shorter than any. */
#define DIRECT_SHARE 0.06
/* -ln of the chance that one cell of 75 shows so much where there is only noise: 1 in 50. */
#define CHANCE 8.3

struct cplx {
    double re, im;
};

struct path {
    double metres, power;
    struct cplx gain[SH_SOUNDING_ANTENNAS];
};

/* What of the tones is not explained yet, and what does not change meanwhile. */
struct rest {
    struct sh_sounding_tones tones; /* sums; the weights stay */
    double weight[SH_SOUNDING_ANTENNAS];
    unsigned channels, lowest, highest, values, antennas;
};

void sh_sounding_tone_add(struct sh_sounding_tones *tones, unsigned antenna, unsigned channel,
                          double re, double im, double weight)
{
    tones->at[antenna][channel].re += re * weight;
    tones->at[antenna][channel].im += im * weight;
    tones->at[antenna][channel].weight += weight;
}

/* What noise alone reaches in some cell, in its mean power: a sum over the antenna paths, each with an exponential
 * distribution (Laurent and Massart's bound). */
static double by_chance(unsigned antennas)
{
    double more = (double)antennas - 1.0;
    return more + CHANCE + sqrt(2.0 * more * CHANCE);
}

static void rest_begin(struct rest *rest, const struct sh_sounding_tones *tones)
{
    *rest = (struct rest){.tones = *tones, .lowest = SH_SOUNDING_CHANNELS};
    for (unsigned k = 0; k < SH_SOUNDING_CHANNELS; k++) {
        bool any = false;
        for (size_t p = 0; p < SH_SOUNDING_ANTENNAS; p++) {
            if (tones->at[p][k].weight <= 0.0)
                continue;
            any = true;
            rest->antennas += rest->weight[p] <= 0.0;
            rest->values++;
            rest->weight[p] += tones->at[p][k].weight;
        }
        if (!any)
            continue;
        rest->channels++;
        rest->lowest = SH_MIN(rest->lowest, k);
        rest->highest = k;
    }
}

/* The weighted power of what is left. */
static double energy(const struct rest *rest)
{
    double sum = 0.0;
    for (size_t p = 0; p < SH_SOUNDING_ANTENNAS; p++) {
        for (size_t k = 0; k < SH_SOUNDING_CHANNELS; k++) {
            double re = rest->tones.at[p][k].re;
            double im = rest->tones.at[p][k].im;
            if (rest->tones.at[p][k].weight > 0.0)
                sum += (re * re + im * im) / rest->tones.at[p][k].weight;
        }
    }
    return sum;
}

/* A path of this length: its gains on each antenna path, and how much power it explains. */
static struct path path_at(const struct rest *rest, double metres)
{
    struct path path = {.metres = metres};
    double cosine = cos(TURN * metres);
    double sine = sin(TURN * metres);
    for (size_t p = 0; p < SH_SOUNDING_ANTENNAS; p++) {
        struct cplx sum = {0.0, 0.0};
        if (rest->weight[p] <= 0.0)
            continue;
        /* Horner's scheme: the sum over k of tone * e^(j TURN metres k). */
        for (size_t k = SH_SOUNDING_CHANNELS; k-- > 0;) {
            struct cplx turned = {sum.re * cosine - sum.im * sine, sum.re * sine + sum.im * cosine};
            sum.re = turned.re + rest->tones.at[p][k].re;
            sum.im = turned.im + rest->tones.at[p][k].im;
        }
        path.power += (sum.re * sum.re + sum.im * sum.im) / rest->weight[p];
        path.gain[p] = (struct cplx){sum.re / rest->weight[p], sum.im / rest->weight[p]};
    }
    return path;
}

/* sign -1 takes the path out of what is left, +1 puts it back. */
static void path_apply(struct rest *rest, const struct path *path, double sign)
{
    for (size_t k = 0; k < SH_SOUNDING_CHANNELS; k++) {
        double angle = -TURN * path->metres * (double)k;
        double cosine = cos(angle);
        double sine = sin(angle);
        for (size_t p = 0; p < SH_SOUNDING_ANTENNAS; p++) {
            double factor = sign * rest->tones.at[p][k].weight;
            struct cplx gain = path->gain[p];
            rest->tones.at[p][k].re += factor * (gain.re * cosine - gain.im * sine);
            rest->tones.at[p][k].im += factor * (gain.re * sine + gain.im * cosine);
        }
    }
}

/* The best length within half a width around this one. */
static struct path path_refine(const struct rest *rest, double around, double half)
{
    const double golden = 0.6180339887498949;
    double low = around - half;
    double high = around + half;
    struct path left = path_at(rest, high - golden * (high - low));
    struct path right = path_at(rest, low + golden * (high - low));
    for (unsigned i = 0; i < REFINE; i++) {
        if (left.power > right.power) {
            high = right.metres;
            right = left;
            left = path_at(rest, high - golden * (high - low));
        } else {
            low = left.metres;
            left = right;
            right = path_at(rest, low + golden * (high - low));
        }
    }
    return left.power > right.power ? left : right;
}

static bool is_clear(const struct path *paths, size_t n, double metres, double resolution)
{
    for (size_t i = 0; i < n; i++) {
        if (fabs(remainder(paths[i].metres - metres, SH_SOUNDING_AMBIGUITY_M)) < resolution)
            return false;
    }
    return true;
}

/* The strongest path in what is left, not nearer to one that is known than the channels can tell apart. */
static struct path path_search(const struct rest *rest, const struct path *paths, size_t n)
{
    double resolution = SH_SOUNDING_AMBIGUITY_M / (rest->highest - rest->lowest + 1);
    struct path best = {.power = 0.0};
    for (unsigned g = 0; g < GRID; g++) {
        double metres = g * STEP_M - NEGATIVE_M;
        if (!is_clear(paths, n, metres, resolution))
            continue;
        struct path path = path_at(rest, metres);
        if (path.power > best.power)
            best = path;
    }
    return path_refine(rest, best.metres, STEP_M);
}

/* Each path anew, without the others. */
static void paths_polish(struct rest *rest, struct path *paths, size_t n)
{
    for (size_t round = 0; n > 1 && round < POLISH; round++) {
        for (size_t i = 0; i < n; i++) {
            path_apply(rest, &paths[i], 1.0);
            paths[i] = path_refine(rest, paths[i].metres, STEP_M);
            path_apply(rest, &paths[i], -1.0);
        }
    }
}

static double strongest(const struct path *paths, size_t n)
{
    double power = 0.0;
    for (size_t i = 0; i < n; i++)
        power = SH_MAX(power, paths[i].power);
    return power;
}

static size_t paths_find(struct rest *rest, struct path paths[PATHS])
{
    size_t n = 0;
    while (n < PATHS) {
        struct path path = path_search(rest, paths, n);
        /* One may turn out stronger once it is told apart from the others. */
        double least = SH_MAX(by_chance(rest->antennas) * energy(rest) / rest->values,
                              DIRECT_SHARE / 2.0 * strongest(paths, n));
        if (path.power < least)
            break;
        path_apply(rest, &path, -1.0);
        paths[n++] = path;
        paths_polish(rest, paths, n);
    }
    return n;
}

static const struct path *direct(const struct path *paths, size_t n)
{
    double least = DIRECT_SHARE * strongest(paths, n);
    const struct path *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (paths[i].power >= least && (!first || paths[i].metres < first->metres))
            first = &paths[i];
    }
    return first;
}

/* Cramer and Rao's bound for the slope, with the noise that is left over. */
static double deviation(const struct rest *rest, const struct path *path, size_t paths)
{
    double information = 0.0;
    double freedom = SH_MAX((double)rest->values - 2.0 * (double)paths, 1.0);
    double noise = energy(rest) / freedom;
    for (size_t p = 0; p < SH_SOUNDING_ANTENNAS; p++) {
        double mean = 0.0;
        double squares = 0.0;
        double gain = path->gain[p].re * path->gain[p].re + path->gain[p].im * path->gain[p].im;
        if (rest->weight[p] <= 0.0)
            continue;
        for (size_t k = 0; k < SH_SOUNDING_CHANNELS; k++) {
            double share = rest->tones.at[p][k].weight / rest->weight[p];
            mean += share * (double)k;
            squares += share * (double)k * (double)k;
        }
        information += 2.0 * gain * rest->weight[p] * (squares - mean * mean) * TURN * TURN;
    }
    return information > 0.0 ? sqrt(noise / information) : SH_SOUNDING_AMBIGUITY_M;
}

enum sh_sounding_fit sh_sounding_line_fit(const struct sh_sounding_tones *tones,
                                          struct sh_sounding_line *ret_line)
{
    struct rest rest;
    struct path paths[PATHS] = {{.metres = 0.0}};
    rest_begin(&rest, tones);
    if (rest.channels < SH_SOUNDING_CHANNELS_MIN ||
        rest.highest - rest.lowest < SH_SOUNDING_SPAN_MIN)
        return SH_SOUNDING_FIT_FEW;
    double all = energy(&rest);
    if (!(all > NOTHING))
        return SH_SOUNDING_FIT_POOR;
    size_t n = paths_find(&rest, paths);
    const struct path *first = direct(paths, n);
    if (!first || strongest(paths, n) < LEAST * all)
        return SH_SOUNDING_FIT_POOR;
    *ret_line = (struct sh_sounding_line){
        .metres = first->metres, .sd_m = deviation(&rest, first, n), .channels = rest.channels};
    return SH_SOUNDING_FIT;
}
