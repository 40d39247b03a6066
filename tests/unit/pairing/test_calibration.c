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

/* What the other end found, and by how much we hear it louder. */
static void the_other_direction(void **state SH_UNUSED)
{
    static const struct sh_calibrated good = {-60.0, 4.0, 120, 40};
    struct sh_calibrated ours = {0};
    assert_int_equal(sh_calibrated_mirror(&good, 3.5, -62.0, &ours), SH_OK);
    assert_float_equal(ours.dbm, -56.5, 0.001);
    assert_float_equal(ours.spread_db, 4.0, 0.001);
    assert_int_equal(ours.samples, 120);
    assert_int_equal(ours.positions, 40);
    assert_int_equal(sh_calibrated_mirror(&good, -3.5, -62.0, &ours), SH_OK);
    assert_float_equal(ours.dbm, -63.5, 0.001);
    /* 15 dB from what we would go by, and no more. */
    assert_int_equal(sh_calibrated_mirror(&good, 12.9, -62.0, &ours), SH_OK);
    assert_int_equal(sh_calibrated_mirror(&good, 13.1, -62.0, &ours), SH_CALIBRATE_IMPOSSIBLE);
    assert_int_equal(sh_calibrated_mirror(&good, -17.1, -62.0, &ours), SH_CALIBRATE_IMPOSSIBLE);
    assert_int_equal(sh_calibrated_mirror(&good, (double)NAN, -62.0, &ours), SH_CALIBRATE_TOO_FEW);
    /* No level of a device, theirs or ours. */
    struct sh_calibrated loud = {-25.0, 4.0, 120, 40};
    assert_int_equal(sh_calibrated_mirror(&loud, 6.0, -25.0, &ours), SH_CALIBRATE_IMPOSSIBLE);
    loud.dbm = -10.0;
    assert_int_equal(sh_calibrated_mirror(&loud, -15.0, -25.0, &ours), SH_CALIBRATE_IMPOSSIBLE);
}

/* What another device says is held to the same bounds. */
static void what_is_said(void **state SH_UNUSED)
{
    static const struct {
        struct sh_calibrated said;
        enum sh_cause cause;
    } rows[] = {
        {{-60.0, 4.0, 30, 20}, SH_OK},
        {{-60.0, 4.0, 29, 20}, SH_CALIBRATE_TOO_FEW},
        {{-60.0, 4.0, 30, 19}, SH_CALIBRATE_TOO_FEW},
        {{-60.0, 1.99, 30, 20}, SH_CALIBRATE_NOT_MOVED},
        {{-60.0, 9.01, 30, 20}, SH_CALIBRATE_UNSTEADY},
        {{-90.1, 4.0, 30, 20}, SH_CALIBRATE_IMPOSSIBLE},
        {{-19.9, 4.0, 30, 20}, SH_CALIBRATE_IMPOSSIBLE},
    };
    struct sh_calibrated ours;
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        assert_int_equal(sh_calibrated_check(&rows[i].said), rows[i].cause);
        assert_int_equal(sh_calibrated_mirror(&rows[i].said, 0.0, rows[i].said.dbm, &ours),
                         rows[i].cause);
    }
}

static void in_a_message(void **state SH_UNUSED)
{
    static const struct sh_calibrated good = {-61.234, 4.567, 120, 40};
    struct sh_calibrated back = {0}, bad = good;
    Simhop__Calibration message;
    uint8_t packed[64];
    sh_calibrated_fill(&good, &message);
    assert_int_equal(message.level_centi_dbm, -6123);
    assert_int_equal(message.spread_centi_db, 457);
    size_t n = protobuf_c_message_pack(&message.base, packed);
    assert_int_equal(sh_calibrated_unpack(SH_MSG_CALIBRATE, SH_BYTES(packed, n), &back), SH_OK);
    assert_float_equal(back.dbm, -61.23, 0.001);
    assert_float_equal(back.spread_db, 4.57, 0.001);
    assert_int_equal(back.samples, 120);
    assert_int_equal(back.positions, 40);
    assert_int_equal(sh_calibrated_unpack(SH_MSG_CALIBRATED, SH_BYTES(packed, n - 1), &back),
                     SH_PROTO_MALFORMED);
    assert_int_equal(sh_calibrated_unpack(SH_MSG_CALIBRATED, SH_BYTES(NULL, 0), &back),
                     SH_CALIBRATE_TOO_FEW);
    bad.spread_db = 12.0;
    sh_calibrated_fill(&bad, &message);
    n = protobuf_c_message_pack(&message.base, packed);
    assert_int_equal(sh_calibrated_unpack(SH_MSG_CALIBRATED, SH_BYTES(packed, n), &back),
                     SH_CALIBRATE_UNSTEADY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learned),
        cmocka_unit_test(bursts),
        cmocka_unit_test(refused),
        cmocka_unit_test(nothing_heard),
        cmocka_unit_test(the_other_direction),
        cmocka_unit_test(what_is_said),
        cmocka_unit_test(in_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
