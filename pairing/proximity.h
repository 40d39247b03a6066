/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nearness from signal strength, as an engine: samples in, an estimate after each, a verdict in the
 * end. What radio can and cannot decide stands in docs/security.md; it is friction, never
 * authorisation.
 *
 * Here: the median of a sliding window against the level expected at one metre (calibrated, stated
 * in the advertisement, or the default) less one dB, metres by log-distance path loss with exponent
 * SH_PATH_EXPONENT. Two uses: *approach* runs on for ever and says near or not at any time;
 * *measure* collects for SH_MEASURE_MS and then decides once. Constant memory, constant work a
 * sample.
 */
#ifndef SIMHOP_PAIRING_PROXIMITY_H
#define SIMHOP_PAIRING_PROXIMITY_H

#include "proto/cause.h"

#define SH_RSSI_NONE        127 /* "not available" in HCI */
#define SH_DEFAULT_1M_DBM   (-62.0)
#define SH_PATH_EXPONENT    2.0
#define SH_MEASURE_MS       3000
#define SH_PROXIMITY_WINDOW 128 /* samples kept; of more the latest count */

enum sh_proximity_verdict { SH_PROXIMITY_UNDECIDED, SH_PROXIMITY_ACCEPT, SH_PROXIMITY_REJECT };

struct sh_proximity_estimate {
    double metres;               /* NAN while no sample counts */
    unsigned confidence_percent; /* 0 to 100: how sure "within one metre" or "not" is */
    unsigned samples;            /* usable ones so far */
    double median_dbm;           /* NAN while no sample counts */
    enum sh_proximity_verdict verdict;
};

enum sh_proximity_use { SH_PROXIMITY_APPROACH, SH_PROXIMITY_MEASURE };

struct sh_proximity;

/* ref1m_dbm: level expected at one metre; NAN, or one outside -90 .. -20, which no device has, is
 * unknown and the default is taken. NULL when there is no memory. */
struct sh_proximity *sh_proximity_new(enum sh_proximity_use use, double ref1m_dbm);
void sh_proximity_free(struct sh_proximity *proximity);

/* One sample. 127, values outside -127 .. +20 dBm and times that run backwards are ignored. */
void sh_proximity_add(struct sh_proximity *proximity, sh_ms now, int dbm);

/* The estimate at this time. approach: from 4 samples over at least 300 ms on, ACCEPT while the
 * median of the last 1.5 s (of the last 4 samples within 6 s from a sender that is heard less often) is within one
 * metre, else REJECT (which may change), UNDECIDED again when samples stay away. measure: UNDECIDED until SH_MEASURE_MS after the first sample and at
 * least 10 samples, then a verdict that stays. */
struct sh_proximity_estimate sh_proximity_at(struct sh_proximity *proximity, sh_ms now);

#endif
