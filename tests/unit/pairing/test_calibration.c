/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What level at one metre is learned, and when nothing is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pairing/calibration.h"
#include "pairing/proximity.h"

/* Heard every so many ms for so long around a level, which swings by so much each second. */
static struct sh_calibration heard(sh_ms every, sh_ms for_ms, int dbm, int swing)
{
    struct sh_calibration calibration = {0};
    for (sh_ms at = 5000; at < 5000 + for_ms; at += every)
        sh_calibration_add(&calibration, at, dbm + (at / 1000 % 2 ? swing : -swing));
    return calibration;
}

static void learned(void **state SH_UNUSED)
{
    struct sh_calibration calibration = heard(50, SH_CALIBRATE_MS, -63, 4);
    struct sh_calibrated found = sh_calibration_now(&calibration);
    assert_false(sh_calibration_is_over(&calibration, 5000 + SH_CALIBRATE_MS - 1));
    assert_true(sh_calibration_is_over(&calibration, 5000 + SH_CALIBRATE_MS));
    assert_int_equal(sh_calibration_check(&calibration), SH_OK);
    assert_true(fabs(found.dbm + 63.0) < 0.01 && fabs(found.spread_db - 4.0) < 0.1);
    assert_int_equal(found.samples, 200);
    assert_int_equal(found.positions, 40);
    /* What is learned is what the rule believes. */
    assert_int_equal(sh_level_best(found.dbm, -30.0).kind, SH_LEVEL_CALIBRATED);
}

/* A burst in one place is one place. */
static void bursts(void **state SH_UNUSED)
{
    struct sh_calibration calibration = heard(50, SH_CALIBRATE_MS, -63, 4);
    struct sh_calibration with_burst = {0};
    for (sh_ms at = 5000; at < 5000 + SH_CALIBRATE_MS; at += 50) {
        int dbm = -63 + (at / 1000 % 2 ? 4 : -4);
        for (unsigned i = 0; i < (at < 6000 ? 100u : 1u); i++)
            sh_calibration_add(&with_burst, at, dbm);
    }
    assert_true(fabs(sh_calibration_now(&calibration).dbm - sh_calibration_now(&with_burst).dbm) <
                0.01);
}

static void refused(void **state SH_UNUSED)
{
    static const struct {
        sh_ms every, for_ms;
        int dbm, swing;
        enum sh_cause cause;
    } rows[] = {
        {50, SH_CALIBRATE_MS, -63, 0, SH_CALIBRATE_NOT_MOVED},
        {50, SH_CALIBRATE_MS, -63, 1, SH_CALIBRATE_NOT_MOVED},
        {50, SH_CALIBRATE_MS, -63, 15, SH_CALIBRATE_UNSTEADY},
        {1280, SH_CALIBRATE_LONGER_MS, -63, 4, SH_CALIBRATE_TOO_FEW},
        {50, 1000, -63, 4, SH_CALIBRATE_TOO_FEW},
        {20, 4000, -63, 4, SH_CALIBRATE_TOO_FEW}, /* enough samples, too few places */
        {50, SH_CALIBRATE_MS, -95, 4, SH_CALIBRATE_IMPOSSIBLE},
        {50, SH_CALIBRATE_MS, -10, 4, SH_CALIBRATE_IMPOSSIBLE},
    };
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        struct sh_calibration calibration =
            heard(rows[i].every, rows[i].for_ms, rows[i].dbm, rows[i].swing);
        assert_int_equal(sh_calibration_check(&calibration), rows[i].cause);
    }
}

static void nothing_heard(void **state SH_UNUSED)
{
    struct sh_calibration calibration = {0};
    sh_calibration_add(&calibration, 1, SH_RSSI_NONE);
    sh_calibration_add(&calibration, 2, -128);
    assert_false(sh_calibration_is_over(&calibration, 1000000));
    assert_int_equal(sh_calibration_check(&calibration), SH_CALIBRATE_TOO_FEW);
    /* Too seldom heard, it still ends. */
    sh_calibration_add(&calibration, 10, -60);
    sh_calibration_add(&calibration, 5, -60);
    assert_int_equal(sh_calibration_now(&calibration).samples, 1);
    assert_false(sh_calibration_is_over(&calibration, 10 + SH_CALIBRATE_MS));
    assert_true(sh_calibration_is_over(&calibration, 10 + SH_CALIBRATE_LONGER_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learned),
        cmocka_unit_test(bursts),
        cmocka_unit_test(refused),
        cmocka_unit_test(nothing_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
