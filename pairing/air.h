/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model of the air: positions in metres and a seed give signal strengths. Log-distance path
 * loss with shadowing and per-channel fading that belong to the places of the two devices (cells of
 * 6 cm, half a wavelength: they change when one moves), and noise a sample. Pure and reproducible:
 * the same seed, places, channel and sample number give the same dBm. The lab's radios use it too.
 *
 * With the defaults a device at half a metre is always found within one metre and one at three
 * metres never, whatever the seed; real rooms are worse.
 */
#ifndef SIMHOP_PAIRING_AIR_H
#define SIMHOP_PAIRING_AIR_H

#include "proto/base.h"

struct sh_air {
    uint64_t seed;        /* "seed", 1 */
    double exponent;      /* "exponent", 2.0 */
    double tx1m_dbm;      /* "tx1m": level at one metre, -59 */
    double shadow_db;     /* "shadow": sd a pair of places, 0.5 */
    double fade_db;       /* "fade": sd a channel and pair of places, 2.0 */
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
