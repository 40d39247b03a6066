/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/air.h"

#include <math.h>

#define NEAREST_M 0.05 /* two antennas are never closer */
#define MIN_DBM   (-110.0)
#define MAX_DBM   20.0

#define TURN          6.283185307179586
#define WAVES         8     /* and the same ones the other way */
#define FADE_WAVE_M   0.123 /* a Bluetooth signal's in the middle of the band */
#define SHADOW_WAVE_M 3.5   /* correlation falls to a third over one metre */
#define MIDDLE_MHZ    2440.0
#define DELAY_FROM_US 0.010 /* of a reflection behind the straight way */
#define DELAY_TO_US   0.060
#define DEEPEST       1e-3

#define SHADOW_KEY UINT64_C(0x736861646f77)
#define FADE_KEY   UINT64_C(0x66616465)
#define SIGMA_KEY  UINT64_C(0x7369676d61)

const struct sh_air sh_air_default = {
    .seed = 1,
    .exponent = 2.0,
    .tx1m_dbm = -59.0,
    .shadow_db = 0.5,
    .fade_db = 1.0,
    .sigma_db = 2.0,
    .interval_ms = 100,
    .sample_ms = 30,
    .ble_rate = 100000,
    .lan_rate = 0,
};

uint64_t sh_air_hash(uint64_t state, uint64_t value)
{
    /* splitmix64 (Steele, Lea, Flood 2014): one step of its sequence, then its finaliser. */
    uint64_t z = (state ^ value) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The sum of four uniform 16-bit numbers, scaled to variance 1. Its tails end at 3.5, so no sample
 * is worse than a real radio's. */
static double gauss(uint64_t hash)
{
    double sum = 0.0;
    for (unsigned i = 0; i < 4; i++)
        sum += ((double)((hash >> (16 * i)) & 0xffff) + 0.5) / 65536.0;
    return (sum - 2.0) * sqrt(3.0);
}

double sh_air_metres(struct sh_position a, struct sh_position b)
{
    return hypot(a.x - b.x, a.y - b.y);
}

/* Centre frequency of a channel; Bluetooth Core Specification, volume 6, part B, 1.4.1. */
static double megahertz(unsigned channel)
{
    switch (channel) {
    case 37:
        return 2402.0;
    case 38:
        return 2426.0;
    case 39:
        return 2480.0;
    default:
        return (channel <= 10 ? 2404.0 : 2406.0) + 2.0 * channel;
    }
}

struct field {
    double re, im;
};

/* One of four numbers of 0 to 1 in a hash. */
static double part(uint64_t hash, unsigned which)
{
    return (double)((hash >> (16 * which)) & 0xffff) / 65536.0;
}

/* A sum of plane waves, of mean power 1 over the seeds. Each leaves one place in a direction u and
 * comes to the other from a direction v: exp i(k(u a + v b) + phase + 2 pi f delay). What goes from a
 * to b goes from b to a as well, so the same with a and b exchanged is added; the sum of the two is the
 * product below. Where a and b are close, the two are alike and their sum is stronger, by
 * 1 + J0(k |a - b|)^2 in the mean over all directions. */
static struct field scattered(uint64_t key, double wave_m, double mhz_off, struct sh_position a,
                              struct sh_position b)
{
    const double k = TURN / wave_m;
    const struct sh_position middle = {(a.x + b.x) / 2.0, (a.y + b.y) / 2.0};
    const struct sh_position half = {(a.x - b.x) / 2.0, (a.y - b.y) / 2.0};
    struct field sum = {0.0, 0.0};
    for (unsigned i = 0; i < WAVES; i++) {
        uint64_t hash = sh_air_hash(key, i);
        double u = TURN * part(hash, 0);
        double v = TURN * part(hash, 1);
        double delay_us =
            DELAY_FROM_US + (DELAY_TO_US - DELAY_FROM_US) * (i + part(hash, 3)) / WAVES;
        double phase = k * ((cos(u) + cos(v)) * middle.x + (sin(u) + sin(v)) * middle.y) +
                       TURN * (part(hash, 2) + mhz_off * delay_us);
        double amplitude = cos(k * ((cos(u) - cos(v)) * half.x + (sin(u) - sin(v)) * half.y));
        sum.re += amplitude * cos(phase);
        sum.im += amplitude * sin(phase);
    }
    double alike = j0(k * sh_air_metres(a, b));
    double scale = sqrt(2.0 / (WAVES * (1.0 + alike * alike)));
    return (struct field){sum.re * scale, sum.im * scale};
}

/* What the strength of a Rician field of mean power 1 does in dB, by the amplitude of its scattered
 * part, in tenths. The last one is Rayleigh's. */
static const struct {
    double sd, mean;
} rician[] = {
    {0.00, 0.00},  {0.62, -0.04}, {1.27, -0.18}, {1.99, -0.41}, {2.83, -0.75}, {3.75, -1.19},
    {4.52, -1.65}, {5.06, -2.03}, {5.38, -2.31}, {5.53, -2.46}, {5.57, -2.51},
};

/* dB, of mean 0 and sd fade_db over places: the straight wave and the scattered ones. No field fades by
 * more than Rayleigh's; beyond that its dB are stretched. */
static double fading(const struct sh_air *air, struct sh_position a, struct sh_position b,
                     unsigned channel)
{
    const unsigned last = SH_COUNT(rician) - 1;
    double stretch = fmax(air->fade_db / rician[last].sd, 1.0);
    double sd = air->fade_db / stretch;
    unsigned row = 1;
    while (row < last && rician[row].sd < sd)
        row++;
    double step = (sd - rician[row - 1].sd) / (rician[row].sd - rician[row - 1].sd);
    double rough = (row - 1 + step) / last;
    double mean = rician[row - 1].mean + step * (rician[row].mean - rician[row - 1].mean);
    struct field sum = scattered(sh_air_hash(air->seed, FADE_KEY), FADE_WAVE_M,
                                 megahertz(channel) - MIDDLE_MHZ, a, b);
    double straight = sqrt(fmax(1.0 - rough * rough, 0.0));
    double phase = TURN / FADE_WAVE_M * sh_air_metres(a, b);
    double re = straight * cos(phase) + rough * sum.re;
    double im = straight * sin(phase) + rough * sum.im;
    return stretch * (20.0 * log10(fmax(hypot(re, im), DEEPEST)) - mean);
}

/* dB, of mean 0 and sd 1 over places: slow waves, of which the real part is taken. */
static double shadow(uint64_t seed, struct sh_position a, struct sh_position b)
{
    return sqrt(2.0) * scattered(sh_air_hash(seed, SHADOW_KEY), SHADOW_WAVE_M, 0.0, a, b).re;
}

/* To the millimetre, so that the noise of one pair of devices is not another pair's. */
static uint64_t place_hash(struct sh_position p)
{
    return sh_air_hash(sh_air_hash(0, (uint64_t)llround(p.x * 1e3)), (uint64_t)llround(p.y * 1e3));
}

static double noise(uint64_t seed, struct sh_position a, struct sh_position b, unsigned channel,
                    uint64_t n)
{
    uint64_t hash = sh_air_hash(sh_air_hash(seed, SIGMA_KEY), place_hash(a) + place_hash(b));
    return gauss(sh_air_hash(sh_air_hash(hash, channel), n));
}

int sh_air_rssi(const struct sh_air *air, struct sh_position a, struct sh_position b,
                unsigned channel, uint64_t n)
{
    double metres = fmax(sh_air_metres(a, b), NEAREST_M);
    double dbm = air->tx1m_dbm - 10.0 * air->exponent * log10(metres) +
                 air->shadow_db * shadow(air->seed, a, b) + fading(air, a, b, channel) +
                 air->sigma_db * noise(air->seed, a, b, channel, n);
    return (int)lround(fmin(fmax(dbm, MIN_DBM), MAX_DBM));
}
