/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Procedures of Channel Sounding as two radios would measure them, made from a distance: tones that went along one or
 * more ways and were turned by oscillators that know nothing of each other, round trips, noise. The same seed makes the same.
 */
#ifndef SIMHOP_TESTS_SOUNDING_SYNTH_H
#define SIMHOP_TESTS_SOUNDING_SYNTH_H

#include <math.h>
#include <string.h>

#include "pairing/sounding.h"

#define SYNTH_C     299792458.0
#define SYNTH_PI    3.14159265358979323846
#define SYNTH_STEPS 160

struct synth_way {
    double metres, gain, turn; /* gain beside the direct way's 1, turned by so many radians */
};

struct synth {
    uint64_t seed;
    double metres;
    struct synth_way ways[3]; /* besides the direct one; gain 0: none */
    double noise;             /* of a tone, beside its 1 */
    double offset_ppm;        /* what is left of the difference of the clocks after mode 0 */
    unsigned antennas;        /* antenna paths */
    bool without[SH_SOUNDING_CHANNELS];
    uint8_t tone_quality;
    bool garbage; /* tones that are noise alone */
    double trip_metres, trip_sd_ns;
    unsigned trips, wild; /* so many, and of them so many that are 200 ns late */
    uint8_t nadm, packet_quality;
    /* What is made: */
    struct sh_sounding_step steps[SYNTH_STEPS];
    size_t n;
};

/* A quiet room, 1 m: all channels, 1 antenna path, 30 trips of 4 ns noise. */
static inline struct synth synth_plain(double metres, uint64_t seed)
{
    struct synth synth = {.seed = seed * 0x9e3779b97f4a7c15U + 1,
                          .metres = metres,
                          .noise = 0.03,
                          .antennas = 1,
                          .trip_metres = metres,
                          .trip_sd_ns = 4.0,
                          .trips = 30};
    static const unsigned reserved[] = {0, 1, 23, 24, 25, 77, 78};
    for (size_t i = 0; i < SH_COUNT(reserved); i++)
        synth.without[reserved[i]] = true;
    return synth;
}

static inline uint64_t synth_next(struct synth *synth)
{
    synth->seed += 0x9e3779b97f4a7c15U;
    uint64_t z = synth->seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline double synth_uniform(struct synth *synth)
{
    return (double)(synth_next(synth) >> 11) / 9007199254740992.0;
}

static inline double synth_normal(struct synth *synth)
{
    double a = synth_uniform(synth);
    double b = synth_uniform(synth);
    return sqrt(-2.0 * log(1.0 - a)) * cos(2.0 * SYNTH_PI * b);
}

/* What one side reads of a tone that came turned by `turn` more than its ways turn it. */
static inline struct sh_sounding_tone synth_tone(struct synth *synth, unsigned channel, double turn)
{
    const double scale = 500.0;
    double f = 2402e6 + 1e6 * channel;
    double re = 0.0, im = 0.0;
    for (size_t i = 0; i <= SH_COUNT(synth->ways); i++) {
        struct synth_way way = {synth->metres, 1.0, 0.0};
        if (i > 0)
            way = synth->ways[i - 1];
        double phase = turn + way.turn - 2.0 * SYNTH_PI * f * way.metres / SYNTH_C;
        re += way.gain * cos(phase);
        im += way.gain * sin(phase);
    }
    if (synth->garbage)
        re = im = 0.0;
    double noise = synth->garbage ? 1.0 : synth->noise;
    re += noise * synth_normal(synth) / sqrt(2.0);
    im += noise * synth_normal(synth) / sqrt(2.0);
    return (struct sh_sounding_tone){.i = (int16_t)lround(fmax(-2048.0, fmin(2047.0, scale * re))),
                                     .q = (int16_t)lround(fmax(-2048.0, fmin(2047.0, scale * im))),
                                     .quality = synth->tone_quality};
}

static inline void synth_tones(struct synth *synth, unsigned channel)
{
    static const uint8_t permutations[] = {1, 1, 2, 6, 24};
    struct sh_sounding_step *step = &synth->steps[synth->n++];
    *step = (struct sh_sounding_step){
        .mode = 2, .channel = (uint8_t)channel, .paths = (uint8_t)synth->antennas};
    uint8_t permutation = (uint8_t)(synth_next(synth) % permutations[synth->antennas]);
    double f = 2402e6 + 1e6 * channel;
    step->initiator.permutation = step->reflector.permutation = permutation;
    for (unsigned slot = 0; slot < synth->antennas; slot++) {
        /* Of the two oscillators, and what the rest of their difference adds between the two tones, 100 us apart. */
        double oscillators = 2.0 * SYNTH_PI * synth_uniform(synth);
        double drift = 2.0 * SYNTH_PI * f * synth->offset_ppm * 1e-6 * 100e-6;
        step->initiator.tones[slot] = synth_tone(synth, channel, oscillators);
        step->reflector.tones[slot] = synth_tone(synth, channel, drift - oscillators);
    }
    /* The slot after them, in which nothing was sent. */
    step->initiator.tones[synth->antennas] = (struct sh_sounding_tone){.i = 7, .quality = 0x13};
    step->reflector.tones[synth->antennas] = (struct sh_sounding_tone){.i = 7, .quality = 0x13};
}

static inline void synth_trip(struct synth *synth, bool wild)
{
    struct sh_sounding_step *step = &synth->steps[synth->n++];
    double ns = 2e9 * synth->trip_metres / SYNTH_C + synth->trip_sd_ns * synth_normal(synth);
    /* However long the reflector took: both sides say it with the opposite sign. */
    int reflector = (int)(synth_next(synth) % 400) - 200;
    ns += wild ? 200.0 : 0.0;
    *step = (struct sh_sounding_step){.mode = 1, .channel = 40, .paths = (uint8_t)synth->antennas};
    step->initiator.time = (int16_t)(reflector + lround(2.0 * ns));
    step->reflector.time = (int16_t)reflector;
    step->initiator.nadm = step->reflector.nadm = synth->nadm;
    step->initiator.packet_quality = step->reflector.packet_quality = synth->packet_quality;
}

/* One procedure, into synth->steps. */
static inline void synth_make(struct synth *synth)
{
    synth->n = 0;
    for (unsigned i = 0; i < 3; i++)
        synth->steps[synth->n++] =
            (struct sh_sounding_step){.mode = 0, .channel = 30, .paths = (uint8_t)synth->antennas};
    for (unsigned i = 0; i < synth->trips; i++)
        synth_trip(synth, i < synth->wild);
    for (unsigned i = 0; i < SH_SOUNDING_CHANNELS; i++) {
        unsigned channel = i * 29 % SH_SOUNDING_CHANNELS; /* not in their order */
        if (!synth->without[channel])
            synth_tones(synth, channel);
    }
}

#endif
