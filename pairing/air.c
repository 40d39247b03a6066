/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/air.h"

#include <math.h>

#define CELL_M     0.06
#define NEAREST_M  0.05 /* two antennas are never closer */
#define MIN_DBM    (-110.0)
#define MAX_DBM    20.0
#define SHADOW_KEY UINT64_C(0x736861646f77)
#define FADE_KEY   UINT64_C(0x66616465)
#define SIGMA_KEY  UINT64_C(0x7369676d61)

const struct sh_air sh_air_default = {
    .seed = 1,
    .exponent = 2.0,
    .tx1m_dbm = -59.0,
    .shadow_db = 0.5,
    .fade_db = 2.0,
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

/* The sum of four uniform 16-bit numbers, scaled to variance 1. Its tails end at 3.5, so no place
 * is worse than a real room has. */
static double gauss(uint64_t hash)
{
    double sum = 0.0;
    for (unsigned i = 0; i < 4; i++)
        sum += ((double)((hash >> (16 * i)) & 0xffff) + 0.5) / 65536.0;
    return (sum - 2.0) * sqrt(3.0);
}

struct cell {
    int64_t x, y;
};

static struct cell cell_of(struct sh_position p)
{
    return (struct cell){.x = (int64_t)floor(p.x / CELL_M), .y = (int64_t)floor(p.y / CELL_M)};
}

/* A hash of both cells that does not depend on their order. */
static uint64_t place_hash(uint64_t seed, struct sh_position a, struct sh_position b)
{
    struct cell low = cell_of(a);
    struct cell high = cell_of(b);
    if (low.x > high.x || (low.x == high.x && low.y > high.y)) {
        struct cell swap = low;
        low = high;
        high = swap;
    }
    const int64_t values[] = {low.x, low.y, high.x, high.y};
    uint64_t hash = sh_air_hash(0, seed);
    for (size_t i = 0; i < SH_COUNT(values); i++)
        hash = sh_air_hash(hash, (uint64_t)values[i]);
    return hash;
}

double sh_air_metres(struct sh_position a, struct sh_position b)
{
    return hypot(a.x - b.x, a.y - b.y);
}

int sh_air_rssi(const struct sh_air *air, struct sh_position a, struct sh_position b,
                unsigned channel, uint64_t n)
{
    uint64_t place = place_hash(air->seed, a, b);
    uint64_t fade = sh_air_hash(sh_air_hash(place, FADE_KEY), channel);
    uint64_t noise = sh_air_hash(sh_air_hash(fade, SIGMA_KEY), n);
    double metres = fmax(sh_air_metres(a, b), NEAREST_M);
    double dbm = air->tx1m_dbm - 10.0 * air->exponent * log10(metres) +
                 air->shadow_db * gauss(sh_air_hash(place, SHADOW_KEY)) +
                 air->fade_db * gauss(fade) + air->sigma_db * gauss(noise);
    return (int)lround(fmin(fmax(dbm, MIN_DBM), MAX_DBM));
}
