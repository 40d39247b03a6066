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
#include "proto/msg.h"

#define SH_CALIBRATE_MS        10000
#define SH_CALIBRATE_LONGER_MS 15000 /* for a slow sender */
#define SH_CALIBRATE_SAMPLES   30
#define SH_CALIBRATE_POSITIONS 20
#define SH_CALIBRATE_SPREAD_DB 2.0 /* as pairing/proximity.h asks of one that moves */
#define SH_CALIBRATE_MOST_DB   9.0
#define SH_CALIBRATE_LEAST_DBM (-90.0) /* what sh_level_best believes */
#define SH_CALIBRATE_MOST_DBM  (-20.0)
#define SH_CALIBRATE_OFF_DB    15.0 /* from what a radio of its kind is heard with */

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

/* Is what was found, by us or as another device says, good enough to be kept? Fails with calibrate.too-few, calibrate.not-moved,
 * calibrate.unsteady, calibrate.impossible (the detail has the numbers). */
SH_MUST_USE enum sh_cause sh_calibrated_check(const struct sh_calibrated *found);
SH_MUST_USE enum sh_cause sh_calibration_check(const struct sh_calibration *calibration);

/* As it is said in a message, to the hundredth of a dB. */
void sh_calibrated_fill(const struct sh_calibrated *level, Simhop__Calibration *ret_message);
/* type: SH_MSG_CALIBRATE or SH_MSG_CALIBRATED. Fails as sh_msg_unpack and sh_calibrated_check do. */
SH_MUST_USE enum sh_cause sh_calibrated_unpack(unsigned type, struct sh_bytes payload,
                                               struct sh_calibrated *ret_level);

/* The level of the other direction by reciprocity: the air is the same both ways, so what one end hears more than the other does,
 * offset_db (sh_nearness.offset_db, ours less theirs), comes from the radios and is the same at one metre. usual_dbm: what we would go by
 * otherwise. Spread, samples and positions are theirs, on which it rests. Fails as sh_calibrated_check does by theirs and by ours, with
 * calibrate.impossible where ours is farther than SH_CALIBRATE_OFF_DB from the usual, calibrate.too-few without an offset. */
SH_MUST_USE enum sh_cause sh_calibrated_mirror(const struct sh_calibrated *theirs, double offset_db,
                                               double usual_dbm, struct sh_calibrated *ret_ours);

#endif
