/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The level at one metre of one pair of devices, learned, an engine: samples of ten seconds in which the person
 * stands one metre away and moves the device, a level out. It is the mean over blocks of 250 ms, so that a burst counts once,
 * and it is believed only if the fading was seen from several places: with too little spread one place would stand for
 * all, with too much it was not one distance.
 */
#ifndef SIMHOP_PAIRING_CALIBRATION_H
#define SIMHOP_PAIRING_CALIBRATION_H

#include "pairing/level_window.h"
#include "proto/cause.h"

#define SH_CALIBRATE_MS        10000
#define SH_CALIBRATE_LONGER_MS 15000 /* for a slow sender */
#define SH_CALIBRATE_SAMPLES   30
#define SH_CALIBRATE_POSITIONS 20
#define SH_CALIBRATE_SPREAD_DB 2.0 /* as pairing/proximity.h asks of one that moves */
#define SH_CALIBRATE_MOST_DB   9.0
#define SH_CALIBRATE_LEAST_DBM (-90.0) /* what sh_level_best believes */
#define SH_CALIBRATE_MOST_DBM  (-20.0)

/* Zeroed at the start. */
struct sh_calibration {
    struct sh_level_window window;
    sh_ms first, last;
    unsigned samples;
};

struct sh_calibrated {
    double dbm, spread_db; /* NAN, 0 while nothing was heard */
    unsigned samples, positions;
};

/* What no receiver reports, and times that run backwards, do not count. */
void sh_calibration_add(struct sh_calibration *calibration, sh_ms at, int dbm);

/* What it is so far. */
struct sh_calibrated sh_calibration_now(const struct sh_calibration *calibration);

/* Has it lasted long enough at this time? */
bool sh_calibration_is_over(const struct sh_calibration *calibration, sh_ms now);

/* Is what was found good enough to be kept? Fails with calibrate.too-few, calibrate.not-moved, calibrate.unsteady,
 * calibrate.impossible (the detail has the numbers). */
SH_MUST_USE enum sh_cause sh_calibration_check(const struct sh_calibration *calibration);

#endif
