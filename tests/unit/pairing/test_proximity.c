/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <math.h>

#include "pairing/air.h"
#include "pairing/proximity.h"

#define REF (-59.0)

static struct sh_proximity *make(enum sh_proximity_use use, double ref)
{
    struct sh_proximity *proximity = sh_proximity_new(use, ref);
    assert_non_null(proximity);
    return proximity;
}

static void nothing_known(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    struct sh_proximity_estimate e = sh_proximity_at(p, 5);
    assert_true(isnan(e.metres));
    assert_true(isnan(e.median_dbm));
    assert_int_equal(e.samples, 0);
    assert_int_equal(e.confidence_percent, 0);
    assert_int_equal(e.verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_free(p);
    sh_proximity_free(NULL);
}

static void metres_and_median(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    static const int dbm[] = {-65, -20, -65, -90, -65};
    for (size_t i = 0; i < SH_COUNT(dbm); i++)
        sh_proximity_add(p, 100 * i, dbm[i]);
    struct sh_proximity_estimate e = sh_proximity_at(p, 400);
    assert_true(fabs(e.median_dbm + 65.0) < 0.01);
    assert_true(fabs(e.metres - pow(10.0, 6.0 / 20.0)) < 0.001);
    assert_int_equal(e.verdict, SH_PROXIMITY_REJECT);
    /* Of an even number the middle of the middle two. */
    sh_proximity_add(p, 500, -60);
    assert_true(fabs(sh_proximity_at(p, 500).median_dbm + 65.0) < 0.01);
    sh_proximity_add(p, 500, -60);
    sh_proximity_add(p, 500, -60);
    assert_true(fabs(sh_proximity_at(p, 500).median_dbm + 62.5) < 0.01);
    sh_proximity_free(p);
}

/* A Linux anchor advertises every 1.28 s, and now and then one is missed. */
static void approach_takes_slow_senders(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    static const sh_ms at[] = {1000, 2281, 4845, 6127};
    for (size_t i = 0; i < SH_COUNT(at); i++) {
        assert_int_equal(sh_proximity_at(p, at[i]).verdict, SH_PROXIMITY_UNDECIDED);
        sh_proximity_add(p, at[i], -50);
    }
    assert_int_equal(sh_proximity_at(p, 6127).verdict, SH_PROXIMITY_ACCEPT);
    /* Carried away. */
    for (sh_ms t = 7408; t < 12000; t += 1281)
        sh_proximity_add(p, t, -75);
    assert_int_equal(sh_proximity_at(p, 11251).verdict, SH_PROXIMITY_REJECT);
    /* Gone. */
    assert_int_equal(sh_proximity_at(p, 15000).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_free(p);
}

/* A burst, then nothing, then one more: what was heard before the pause is old. */
static void approach_forgets_over_a_pause(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    for (sh_ms t = 0; t <= 400; t += 100)
        sh_proximity_add(p, 1000 + t, -50);
    assert_int_equal(sh_proximity_at(p, 1400).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_add(p, 4000, -50);
    assert_int_equal(sh_proximity_at(p, 4000).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_free(p);
}

static void approach_decides_and_changes(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    for (sh_ms t = 0; t < 300; t += 100)
        sh_proximity_add(p, 1000 + t, -50);
    assert_int_equal(sh_proximity_at(p, 1200).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_add(p, 1299, -50); /* four, but not over 300 ms */
    assert_int_equal(sh_proximity_at(p, 1299).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_add(p, 1300, -50);
    assert_int_equal(sh_proximity_at(p, 1300).verdict, SH_PROXIMITY_ACCEPT);
    /* Carried away: what was heard 1.5 s ago does not count any more. */
    for (sh_ms t = 0; t < 2000; t += 100)
        sh_proximity_add(p, 1400 + t, -75);
    assert_int_equal(sh_proximity_at(p, 3400).verdict, SH_PROXIMITY_REJECT);
    for (sh_ms t = 0; t < 2000; t += 100)
        sh_proximity_add(p, 3400 + t, -50);
    assert_int_equal(sh_proximity_at(p, 5400).verdict, SH_PROXIMITY_ACCEPT);
    /* Gone. */
    assert_int_equal(sh_proximity_at(p, 7400).verdict, SH_PROXIMITY_UNDECIDED);
    assert_true(isnan(sh_proximity_at(p, 7400).metres));
    sh_proximity_free(p);
}

static void measure_decides_once(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 2999; t += 30)
        sh_proximity_add(p, 5000 + t, -50);
    assert_int_equal(sh_proximity_at(p, 7999).verdict, SH_PROXIMITY_UNDECIDED);
    struct sh_proximity_estimate e = sh_proximity_at(p, 8000);
    assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
    assert_in_range(e.confidence_percent, 90, 100);
    for (sh_ms t = 0; t <= 5000; t += 10)
        sh_proximity_add(p, 8000 + t, -90);
    struct sh_proximity_estimate later = sh_proximity_at(p, 13000);
    assert_int_equal(later.verdict, SH_PROXIMITY_ACCEPT);
    assert_int_equal(later.samples, e.samples);
    sh_proximity_free(p);
}

/* Ten samples are needed, however long they take; nobody asks between them. */
static void measure_wants_samples(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms i = 0; i < 9; i++)
        sh_proximity_add(p, i * 500, -50);
    assert_int_equal(sh_proximity_at(p, 4200).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_add(p, 4500, -50);
    assert_int_equal(sh_proximity_at(p, 4500).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
    /* What comes after the three seconds is no part of a measurement that was asked for late. */
    p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 3000; t += 100)
        sh_proximity_add(p, t, -50);
    for (sh_ms t = 3010; t <= 4000; t += 10)
        sh_proximity_add(p, t, -90);
    assert_int_equal(sh_proximity_at(p, 4000).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
}

static void bad_samples(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    static const int bad[] = {SH_RSSI_NONE, 21, -128, 1000000, -1000000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        sh_proximity_add(p, 100 * i, bad[i]);
    assert_int_equal(sh_proximity_at(p, 1000).samples, 0);
    sh_proximity_add(p, 1000, -127);
    sh_proximity_add(p, 1000, 20);
    assert_int_equal(sh_proximity_at(p, 1000).samples, 2);
    /* Time that runs backwards: the sample does not count, asking earlier is asking now. */
    sh_proximity_add(p, 999, -50);
    sh_proximity_add(p, 0, -50);
    assert_int_equal(sh_proximity_at(p, 0).samples, 2);
    assert_false(isnan(sh_proximity_at(p, 0).metres));
    sh_proximity_free(p);
}

static void unknown_reference(void **state SH_UNUSED)
{
    /* A peer that says -127 would be near wherever it is. */
    static const double none[] = {(double)NAN,      127.0, -127.0, -91.0, 0.0, (double)INFINITY,
                                  -(double)INFINITY};
    for (size_t i = 0; i < SH_COUNT(none); i++) {
        struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, none[i]);
        for (sh_ms t = 0; t <= 500; t += 100)
            sh_proximity_add(p, t, (int)SH_DEFAULT_1M_DBM);
        struct sh_proximity_estimate e = sh_proximity_at(p, 500);
        assert_true(fabs(e.metres - 1.0) < 0.001);
        assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
        sh_proximity_free(p);
    }
}

static void constant_memory(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    sh_ms now = 0;
    for (unsigned i = 0; i < 1000; i++)
        sh_proximity_add(p, now++, -50);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 1000000; i++)
        sh_proximity_add(p, now++, -50);
    assert_int_equal(mallinfo2().uordblks, before);
    assert_int_equal(sh_proximity_at(p, now).samples, 1001000);
    assert_int_equal(sh_proximity_at(p, now).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
}

/* The verdicts of the default air at this distance, for one seed. */
static void check_seed(uint64_t seed, double metres, enum sh_proximity_verdict wanted)
{
    struct sh_air air = sh_air_default;
    air.seed = seed;
    struct sh_position a = {0, 0};
    struct sh_position b = {metres, 0};
    struct sh_proximity *approach = make(SH_PROXIMITY_APPROACH, air.tx1m_dbm);
    for (uint64_t i = 0; i < 100; i++) {
        sh_ms now = i * air.interval_ms;
        sh_proximity_add(approach, now, sh_air_rssi(&air, a, b, 37 + (unsigned)(i % 3), i));
        enum sh_proximity_verdict verdict = sh_proximity_at(approach, now).verdict;
        if (i >= 3 && verdict != wanted)
            fail_msg("seed %u, %.2f m, approach, sample %u", (unsigned)seed, metres, (unsigned)i);
    }
    sh_proximity_free(approach);
    struct sh_proximity *measure = make(SH_PROXIMITY_MEASURE, air.tx1m_dbm);
    for (uint64_t i = 0; i <= SH_MEASURE_MS / air.sample_ms; i++) {
        unsigned channel = (unsigned)(i * 7 % 37);
        sh_proximity_add(measure, i * air.sample_ms, sh_air_rssi(&air, a, b, channel, i << 1));
    }
    if (sh_proximity_at(measure, SH_MEASURE_MS).verdict != wanted)
        fail_msg("seed %u, %.2f m, measure", (unsigned)seed, metres);
    sh_proximity_free(measure);
}

static void default_air_all_seeds(void **state SH_UNUSED)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        check_seed(seed, 0.25, SH_PROXIMITY_ACCEPT);
        check_seed(seed, 0.5, SH_PROXIMITY_ACCEPT);
        check_seed(seed, 3.0, SH_PROXIMITY_REJECT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(metres_and_median),
        cmocka_unit_test(approach_decides_and_changes),
        cmocka_unit_test(approach_takes_slow_senders),
        cmocka_unit_test(approach_forgets_over_a_pause),
        cmocka_unit_test(measure_decides_once),
        cmocka_unit_test(measure_wants_samples),
        cmocka_unit_test(bad_samples),
        cmocka_unit_test(unknown_reference),
        cmocka_unit_test(constant_memory),
        cmocka_unit_test(default_air_all_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
