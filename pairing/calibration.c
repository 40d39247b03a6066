/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/calibration.h"

#include <math.h>

#define DBM_MIN (-127)
#define DBM_MAX 20
#define CENTI   100.0

void sh_calibration_add(struct sh_calibration *calibration, sh_ms at, int dbm)
{
    if (dbm < DBM_MIN || dbm > DBM_MAX || (calibration->samples > 0 && at < calibration->last))
        return;
    if (calibration->samples == 0)
        calibration->first = at;
    calibration->last = at;
    calibration->samples += calibration->samples < UINT32_MAX;
    sh_level_window_add(&calibration->window, at, dbm);
}

struct sh_calibrated sh_calibration_now(const struct sh_calibration *calibration)
{
    struct sh_level_sum sum = sh_level_window_since(&calibration->window, calibration->first);
    return (struct sh_calibrated){.dbm = sum.mean_db,
                                  .spread_db = sum.spread_db,
                                  .samples = sum.samples,
                                  .positions = sum.blocks};
}

bool sh_calibration_is_over(const struct sh_calibration *calibration, sh_ms now)
{
    if (calibration->samples == 0 || now < calibration->first + SH_CALIBRATE_MS)
        return false;
    struct sh_calibrated found = sh_calibration_now(calibration);
    return now >= calibration->first + SH_CALIBRATE_LONGER_MS ||
           (found.samples >= SH_CALIBRATE_SAMPLES && found.positions >= SH_CALIBRATE_POSITIONS);
}

enum sh_cause sh_calibrated_check(const struct sh_calibrated *found)
{
    if (found->samples < SH_CALIBRATE_SAMPLES || found->positions < SH_CALIBRATE_POSITIONS)
        return sh_fail(SH_CALIBRATE_TOO_FEW, "%u samples in %u positions; %d in %d are wanted",
                       found->samples, found->positions, SH_CALIBRATE_SAMPLES,
                       SH_CALIBRATE_POSITIONS);
    if (found->spread_db < SH_CALIBRATE_SPREAD_DB)
        return sh_fail(SH_CALIBRATE_NOT_MOVED, "spread %.1f dB; %.1f are wanted", found->spread_db,
                       SH_CALIBRATE_SPREAD_DB);
    if (found->spread_db > SH_CALIBRATE_MOST_DB)
        return sh_fail(SH_CALIBRATE_UNSTEADY, "spread %.1f dB; at most %.1f", found->spread_db,
                       SH_CALIBRATE_MOST_DB);
    if (found->dbm < SH_CALIBRATE_LEAST_DBM || found->dbm > SH_CALIBRATE_MOST_DBM)
        return sh_fail(SH_CALIBRATE_IMPOSSIBLE, "%.1f dBm", found->dbm);
    return SH_OK;
}

enum sh_cause sh_calibration_check(const struct sh_calibration *calibration)
{
    struct sh_calibrated found = sh_calibration_now(calibration);
    return sh_calibrated_check(&found);
}

void sh_calibrated_fill(const struct sh_calibrated *level, Simhop__Calibration *ret_message)
{
    simhop__calibration__init(ret_message);
    ret_message->level_centi_dbm = (int32_t)lround(level->dbm * CENTI);
    ret_message->spread_centi_db = (uint32_t)lround(level->spread_db * CENTI);
    ret_message->samples = level->samples;
    ret_message->positions = level->positions;
}

enum sh_cause sh_calibrated_unpack(unsigned type, struct sh_bytes payload,
                                   struct sh_calibrated *ret_level)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(type, payload, &unpacked));
    const Simhop__Calibration *message = (const Simhop__Calibration *)unpacked;
    struct sh_calibrated level = {.dbm = message->level_centi_dbm / CENTI,
                                  .spread_db = message->spread_centi_db / CENTI,
                                  .samples = message->samples,
                                  .positions = message->positions};
    SH_TRY(sh_calibrated_check(&level));
    *ret_level = level;
    return SH_OK;
}

enum sh_cause sh_calibrated_mirror(const struct sh_calibrated *theirs, double offset_db,
                                   double usual_dbm, struct sh_calibrated *ret_ours)
{
    struct sh_calibrated ours = *theirs;
    SH_TRY(sh_calibrated_check(theirs));
    if (!isfinite(offset_db))
        return sh_fail(SH_CALIBRATE_TOO_FEW, "nothing was heard of the connection");
    ours.dbm += offset_db;
    SH_TRY(sh_calibrated_check(&ours));
    if (fabs(ours.dbm - usual_dbm) > SH_CALIBRATE_OFF_DB)
        return sh_fail(SH_CALIBRATE_IMPOSSIBLE, "%.1f dBm, %.0f dB and more from the usual %.1f",
                       ours.dbm, SH_CALIBRATE_OFF_DB, usual_dbm);
    *ret_ours = ours;
    return SH_OK;
}
