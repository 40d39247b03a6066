/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model of the air: positions in metres and a seed give signal strengths. Pure and reproducible:
 * the same seed, places, channel and sample number give the same dBm. The lab's radios use it too.
 *
 *   level = tx1m - 10 exponent log10(metres) + shadow + fading + noise
 *
 * - Fading is that of a room: a straight wave and 16 scattered ones (Rice), so it follows the places
 *   of both devices smoothly, is another one half a wavelength (6 cm) farther, and differs
 *   between channels by the detours of the waves (10 to 60 ns). Who moves, or hops over channels, sees
 *   it averaged; who keeps still on one channel has one draw of it, however long he listens.
 * - The shadow is the same on all channels and another one a metre farther.
 * - Noise is new with each sample.
 *
 * The defaults are a gentle room: a device at half a metre is always found within one metre (over
 * all data channels it is 3.5 dB or more above the level there) and one at three metres never
 * (4 dB or more below), whatever the seed. A real room is worse: exponent 1.4, shadow 2.5, fade 5,
 * sigma 2. tests/unit/pairing/test_air_room.c holds those against recordings of real ones.
 */
#ifndef SIMHOP_PAIRING_AIR_H
#define SIMHOP_PAIRING_AIR_H

#include "proto/base.h"

struct sh_air {
    uint64_t seed;        /* "seed", 1 */
    double exponent;      /* "exponent", 2.0 */
    double tx1m_dbm;      /* "tx1m": level at one metre, -59 */
    double shadow_db;     /* "shadow": sd over places, 0.5 */
    double fade_db;       /* "fade": sd over places on one channel, 1.0; beyond 5.57, which
                             no field exceeds, its dB are stretched */
    double sigma_db;      /* "sigma": sd a sample, 2.0 */
    unsigned interval_ms; /* "interval": between advertisements, 100 */
    unsigned sample_ms;   /* "sample": between samples of a connection, 30 */
    uint64_t ble_rate;    /* "ble_rate": octets a second, 100000; 0 = no limit */
    uint64_t lan_rate;    /* "lan_rate": the same, 0 */
};

struct sh_position {
    double x, y;
};

extern const struct sh_air sh_air_default;

#define SH_AIR_RANGE_M 30.0 /* farther away nothing is heard */

/* Signal strength in dBm, rounded and kept within -110 .. +20, of sample number n on channel (0 to
 * 39) between two places. Symmetric in a and b; the direction goes into n. */
int sh_air_rssi(const struct sh_air *air, struct sh_position a, struct sh_position b,
                unsigned channel, uint64_t n);

double sh_air_metres(struct sh_position a, struct sh_position b);

/* Mixes value into state; what the air's chances (noise, lost chunks) are drawn from. */
uint64_t sh_air_hash(uint64_t state, uint64_t value);

#endif
