/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/calibration.h"

#define DBM_MIN (-127)
#define DBM_MAX 20

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

enum sh_cause sh_calibration_check(const struct sh_calibration *calibration)
{
    struct sh_calibrated found = sh_calibration_now(calibration);
    if (found.samples < SH_CALIBRATE_SAMPLES || found.positions < SH_CALIBRATE_POSITIONS)
        return sh_fail(SH_CALIBRATE_TOO_FEW, "%u samples in %u positions; %d in %d are wanted",
                       found.samples, found.positions, SH_CALIBRATE_SAMPLES,
                       SH_CALIBRATE_POSITIONS);
    if (found.spread_db < SH_CALIBRATE_SPREAD_DB)
        return sh_fail(SH_CALIBRATE_NOT_MOVED, "spread %.1f dB; %.1f are wanted", found.spread_db,
                       SH_CALIBRATE_SPREAD_DB);
    if (found.spread_db > SH_CALIBRATE_MOST_DB)
        return sh_fail(SH_CALIBRATE_UNSTEADY, "spread %.1f dB; at most %.1f", found.spread_db,
                       SH_CALIBRATE_MOST_DB);
    if (found.dbm < SH_CALIBRATE_LEAST_DBM || found.dbm > SH_CALIBRATE_MOST_DBM)
        return sh_fail(SH_CALIBRATE_IMPOSSIBLE, "%.1f dBm", found.dbm);
    return SH_OK;
}
