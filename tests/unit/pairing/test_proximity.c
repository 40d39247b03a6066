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

static struct sh_proximity *make_with(struct sh_proximity_config config)
{
    struct sh_proximity *proximity = sh_proximity_new(&config);
    assert_non_null(proximity);
    return proximity;
}

static struct sh_proximity *make(enum sh_proximity_use use, double ref)
{
    struct sh_level level = {ref, SH_LEVEL_CALIBRATED};
    return make_with((struct sh_proximity_config){.use = use, .level = {level, level}});
}

static void add_from(struct sh_proximity *p, enum sh_proximity_side side, sh_ms at, int dbm)
{
    struct sh_proximity_sample sample = {
        .at = at, .dbm = dbm, .channel = SH_CHANNEL_UNKNOWN, .side = side};
    sh_proximity_add(p, &sample);
}

static void add(struct sh_proximity *p, sh_ms at, int dbm)
{
    add_from(p, SH_SIDE_OURS, at, dbm);
}

static void nothing_known(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    struct sh_proximity_estimate e = sh_proximity_at(p, 5);
    assert_true(isnan(e.metres));
    assert_true(isnan(e.level_dbm));
    assert_int_equal(e.samples, 0);
    assert_int_equal(e.confidence_percent, 0);
    assert_int_equal(e.verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_free(p);
    sh_proximity_free(NULL);
}

/* The score is half the mean and half the power mean of what lies above the level at one metre; metres follow from it with
 * exponent 1.4, and a meter shows those of the last half second. */
static void score_and_metres(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    for (sh_ms t = 0; t < 1250; t += 50)
        add(p, t, t < 500 ? -65 : -69);
    struct sh_proximity_estimate e = sh_proximity_at(p, 1200);
    double power = 10.0 * log10((2.0 * pow(10.0, -0.6) + 3.0 * pow(10.0, -1.0)) / 5.0);
    assert_true(fabs(e.level_dbm + 67.4) < 0.01);
    assert_true(fabs(e.evidence.score_db - (-8.4 + power) / 2.0) < 0.01);
    assert_true(fabs(e.evidence.spread_db - sqrt(4.8)) < 0.01); /* two blocks and three */
    assert_true(fabs(e.metres - pow(10.0, 10.0 / 14.0)) < 0.01);
    assert_int_equal(e.verdict, SH_PROXIMITY_REJECT);
    assert_int_equal(e.advice, SH_ADVICE_CLOSER);
    assert_int_equal(e.samples, 25);
    assert_true(fabs(e.evidence.rate_hz - 20.0) < 0.01);
    sh_proximity_free(p);
}

/* A Linux anchor advertises every 1.28 s, and now and then one is missed. */
static void approach_takes_slow_senders(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    static const sh_ms at[] = {1000, 2281, 4845, 6127};
    for (size_t i = 0; i < SH_COUNT(at); i++) {
        assert_int_equal(sh_proximity_at(p, at[i]).verdict, SH_PROXIMITY_UNDECIDED);
        add(p, at[i], -50);
    }
    assert_int_equal(sh_proximity_at(p, 6127).verdict, SH_PROXIMITY_ACCEPT);
    /* Carried away. */
    for (sh_ms t = 7408; t < 12000; t += 1281)
        add(p, t, -75);
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
        add(p, 1000 + t, -50);
    assert_int_equal(sh_proximity_at(p, 1400).verdict, SH_PROXIMITY_ACCEPT);
    add(p, 4000, -50);
    assert_int_equal(sh_proximity_at(p, 4000).verdict, SH_PROXIMITY_UNDECIDED);
    sh_proximity_free(p);
}

static void approach_decides_and_changes(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    for (sh_ms t = 0; t < 300; t += 100)
        add(p, 1000 + t, -50);
    assert_int_equal(sh_proximity_at(p, 1200).verdict, SH_PROXIMITY_UNDECIDED);
    add(p, 1299, -50); /* four, but not over 300 ms */
    assert_int_equal(sh_proximity_at(p, 1299).verdict, SH_PROXIMITY_UNDECIDED);
    add(p, 1300, -50);
    assert_int_equal(sh_proximity_at(p, 1300).verdict, SH_PROXIMITY_ACCEPT);
    /* Carried away: what was heard 1.5 s ago does not count any more. */
    for (sh_ms t = 0; t < 2000; t += 100)
        add(p, 1400 + t, -75);
    assert_int_equal(sh_proximity_at(p, 3400).verdict, SH_PROXIMITY_REJECT);
    for (sh_ms t = 0; t < 2000; t += 100)
        add(p, 3400 + t, -50);
    assert_int_equal(sh_proximity_at(p, 5400).verdict, SH_PROXIMITY_ACCEPT);
    /* Gone. */
    assert_int_equal(sh_proximity_at(p, 7400).verdict, SH_PROXIMITY_UNDECIDED);
    assert_true(isnan(sh_proximity_at(p, 7400).metres));
    sh_proximity_free(p);
}

/* A level that swings by dB every half second about REF + offset, from a device that is moved. */
static int swinging(sh_ms t, int offset, int db)
{
    return (int)REF + offset + (t / 500 % 2 ? db : -db);
}

static void measure_decides_once(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 2999; t += 30)
        add(p, 5000 + t, -53);
    struct sh_proximity_estimate e = sh_proximity_at(p, 7999);
    assert_int_equal(e.verdict, SH_PROXIMITY_UNDECIDED);
    assert_int_equal(e.advice, SH_ADVICE_HOLD);
    e = sh_proximity_at(p, 8000);
    assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
    assert_int_equal(e.advice, SH_ADVICE_NONE);
    assert_false(e.evidence.moved);
    for (sh_ms t = 0; t <= 5000; t += 10)
        add(p, 8000 + t, -90);
    struct sh_proximity_estimate later = sh_proximity_at(p, 13000);
    assert_int_equal(later.verdict, SH_PROXIMITY_ACCEPT);
    assert_int_equal(later.samples, e.samples);
    assert_int_equal(sh_proximity_decided_at(p), 7970);
    sh_proximity_free(p);
}

/* At 0 dB: lying still it is told to move, and refused in the end; moved it is accepted after three seconds. */
static void movement_is_asked_for(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 8000; t += 30) {
        add(p, t, (int)REF);
        struct sh_proximity_estimate e = sh_proximity_at(p, t);
        assert_int_equal(e.verdict, SH_PROXIMITY_UNDECIDED);
        assert_int_equal(e.advice, SH_ADVICE_MOVE);
    }
    struct sh_proximity_estimate e = sh_proximity_at(p, 8000);
    assert_int_equal(e.verdict, SH_PROXIMITY_REJECT);
    assert_int_equal(e.advice, SH_ADVICE_MOVE);
    sh_proximity_free(p);
    p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 3000; t += 30)
        add(p, t, swinging(t, 0, 3));
    e = sh_proximity_at(p, 3000);
    assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
    assert_true(e.evidence.moved);
    sh_proximity_free(p);
    /* Movement that begins late counts: the last three seconds are looked at. */
    p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 7000; t += 30)
        add(p, t, t < 4000 ? (int)REF : swinging(t, 0, 3));
    assert_int_equal(sh_proximity_at(p, 7000).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
}

/* A swing of 3 dB about a level two metres away is movement, and too far; so is what comes closer too late. */
static void moved_but_far(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 3000; t += 30)
        add(p, t, swinging(t, -6, 3));
    struct sh_proximity_estimate e = sh_proximity_at(p, 3000);
    assert_int_equal(e.verdict, SH_PROXIMITY_REJECT);
    assert_int_equal(e.advice, SH_ADVICE_CLOSER);
    assert_in_range(e.confidence_percent, 60, 100);
    sh_proximity_free(p);
}

static sh_ms decided_after(int dbm)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    sh_ms t = 0;
    while (t < 20000) {
        add(p, t, dbm);
        if (sh_proximity_at(p, t).verdict != SH_PROXIMITY_UNDECIDED)
            break;
        t += 50;
    }
    sh_proximity_free(p);
    return t;
}

/* Touching and clearly elsewhere are told early. */
static void clear_cases_are_quick(void **state SH_UNUSED)
{
    assert_int_equal(decided_after((int)REF + 9), 1000);
    assert_int_equal(decided_after((int)REF + 8), 3000);
    assert_int_equal(decided_after((int)REF - 12), 1500);
    assert_int_equal(decided_after((int)REF - 11), 3000);
}

/* What is not known of the level, and the strict rule, ask for more. */
static void less_known_more_wanted(void **state SH_UNUSED)
{
    static const struct {
        enum sh_level_kind kind;
        enum sh_proximity_rule rule;
        int held, moved; /* least whole dB that are accepted */
    } rows[] = {
        {SH_LEVEL_CALIBRATED, SH_PROXIMITY_NORMAL, 4, -1},
        {SH_LEVEL_STATED, SH_PROXIMITY_NORMAL, 5, 1},
        {SH_LEVEL_ASSUMED, SH_PROXIMITY_NORMAL, 6, 2},
        {SH_LEVEL_CALIBRATED, SH_PROXIMITY_STRICT, 6, 1},
        {SH_LEVEL_ASSUMED, SH_PROXIMITY_STRICT, 8, 4},
    };
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        for (int moved = 0; moved <= 1; moved++) {
            int least = moved ? rows[i].moved : rows[i].held;
            for (int db = least - 1; db <= least; db++) {
                struct sh_level level = {REF, rows[i].kind};
                struct sh_proximity *p = make_with((struct sh_proximity_config){
                    .use = SH_PROXIMITY_MEASURE, .rule = rows[i].rule, .level = {level, level}});
                for (sh_ms t = 0; t <= 3000; t += 30)
                    add(p, t, moved ? swinging(t, db, 2) : (int)REF + db);
                struct sh_proximity_estimate e = sh_proximity_finish(p);
                assert_int_equal(e.evidence.moved, moved);
                assert_int_equal(e.verdict, db < least ? SH_PROXIMITY_REJECT : SH_PROXIMITY_ACCEPT);
                sh_proximity_free(p);
            }
        }
    }
}

/* Six samples are needed, however long they take; nobody asks between them. */
static void measure_wants_samples(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms i = 0; i < 5; i++)
        add(p, i * 700, -50);
    assert_int_equal(sh_proximity_at(p, 3400).verdict, SH_PROXIMITY_UNDECIDED);
    add(p, 3500, -50);
    assert_int_equal(sh_proximity_at(p, 3500).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
    /* What comes after the three seconds is no part of a measurement that was asked for late. */
    p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 3000; t += 100)
        add(p, t, -54);
    for (sh_ms t = 3010; t <= 4000; t += 10)
        add(p, t, -90);
    assert_int_equal(sh_proximity_at(p, 4000).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
}

/* Silence decides nothing: who was near before it must be heard again. */
static void silence(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 900; t += 30)
        add(p, t, -50);
    assert_int_equal(sh_proximity_at(p, 5000).verdict, SH_PROXIMITY_UNDECIDED);
    add(p, 5100, -50);
    assert_int_equal(sh_proximity_at(p, 5100).verdict, SH_PROXIMITY_ACCEPT);
    sh_proximity_free(p);
    p = make(SH_PROXIMITY_MEASURE, REF);
    add(p, 0, -50);
    assert_int_equal(sh_proximity_at(p, 14999).verdict, SH_PROXIMITY_UNDECIDED);
    assert_int_equal(sh_proximity_at(p, 15000).verdict, SH_PROXIMITY_REJECT);
    sh_proximity_free(p);
}

/* No more will come: three are judged by what they say, of fewer nothing is known. */
static void finished_early(void **state SH_UNUSED)
{
    for (unsigned n = 0; n <= 4; n++) {
        struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
        for (unsigned i = 0; i < n; i++)
            add(p, i * 100, -50);
        assert_int_equal(sh_proximity_finish(p).verdict,
                         n < SH_MEASURE_LEAST ? SH_PROXIMITY_REJECT : SH_PROXIMITY_ACCEPT);
        sh_proximity_free(p);
    }
}

/* A thousand reports of one moment weigh no more than that moment, one impossible level no more than a touch. */
static void bursts_and_jumps(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 2900; t += 30)
        add(p, t, -65);
    double before = sh_proximity_at(p, 2900).evidence.score_db;
    for (unsigned i = 0; i < 1000; i++)
        add(p, 2900, -45);
    double after = sh_proximity_at(p, 2900).evidence.score_db;
    assert_true(after - before < 5.0);
    assert_int_equal(sh_proximity_finish(p).verdict, SH_PROXIMITY_REJECT);
    sh_proximity_free(p);
    p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t < 2900; t += 30)
        add(p, t, t == 1500 ? 20 : -67);
    assert_int_equal(sh_proximity_finish(p).verdict, SH_PROXIMITY_REJECT);
    sh_proximity_free(p);
}

/* Ours at ours dB, theirs at theirs: the mean counts, and too great a difference refuses. */
static struct sh_proximity_estimate both(int ours, int theirs)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 3000; t += 30) {
        add_from(p, SH_SIDE_OURS, t, swinging(t, ours, 3));
        add_from(p, SH_SIDE_THEIRS, t, swinging(t, theirs, 3));
    }
    struct sh_proximity_estimate e = sh_proximity_finish(p);
    sh_proximity_free(p);
    return e;
}

static void both_ends(void **state SH_UNUSED)
{
    struct sh_proximity_estimate e = both(-3, 1);
    assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
    assert_true(fabs(e.evidence.asymmetry_db + 4.0) < 0.01);
    assert_int_equal(e.evidence.samples[SH_SIDE_THEIRS], e.evidence.samples[SH_SIDE_OURS]);
    assert_int_equal(both(-3, -1).verdict, SH_PROXIMITY_REJECT);
    assert_int_equal(both(2, 7).verdict, SH_PROXIMITY_ACCEPT);
    /* A booster on one side. */
    assert_int_equal(both(2, 9).verdict, SH_PROXIMITY_REJECT);
    assert_int_equal(both(12, -2).verdict, SH_PROXIMITY_REJECT);
}

/* A pair that is calibrated on one side only: the other's level is wrong by what nobody knows. */
static void unequally_known(void **state SH_UNUSED)
{
    for (int theirs = -4; theirs >= -6; theirs -= 2) {
        struct sh_proximity *p = make_with((struct sh_proximity_config){
            .use = SH_PROXIMITY_MEASURE,
            .level = {{REF, SH_LEVEL_CALIBRATED}, {REF, SH_LEVEL_ASSUMED}}});
        for (sh_ms t = 0; t <= 3000; t += 30) {
            add_from(p, SH_SIDE_OURS, t, swinging(t, 7, 3));
            add_from(p, SH_SIDE_THEIRS, t, swinging(t, theirs, 3));
        }
        assert_int_equal(sh_proximity_finish(p).verdict,
                         theirs == -4 ? SH_PROXIMITY_ACCEPT : SH_PROXIMITY_REJECT);
        sh_proximity_free(p);
    }
}

/* Power that is stepped down on purpose is not distance. */
static void stepped_power(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 3000; t += 30) {
        int step = t / 300 % 2 ? -16 : 0;
        struct sh_proximity_sample sample = {
            .at = t, .dbm = -53 + step, .power_db = step, .channel = (uint8_t)(37 + t / 30 % 3)};
        sh_proximity_add(p, &sample);
    }
    struct sh_proximity_estimate e = sh_proximity_finish(p);
    assert_int_equal(e.verdict, SH_PROXIMITY_ACCEPT);
    assert_true(fabs(e.evidence.score_db - 6.0) < 0.01);
    assert_true(fabs(e.evidence.margin_db - 2.5) < 0.01);
    assert_int_equal(e.evidence.blocks, 13);
    assert_true(e.evidence.spread_db < 0.01);
    assert_int_equal(e.evidence.channels, 3);
    sh_proximity_free(p);
}

/* Channel Sounding decides where it is: for a level that alone would not do, and against one that would. */
static enum sh_proximity_verdict sounded(int dbm, double metres, double sd_m)
{
    struct sh_proximity *p = make(SH_PROXIMITY_MEASURE, REF);
    for (sh_ms t = 0; t <= 3000; t += 30) {
        add(p, t, dbm);
        sh_proximity_sounding(p, t, metres, sd_m);
    }
    enum sh_proximity_verdict verdict = sh_proximity_finish(p).verdict;
    sh_proximity_free(p);
    return verdict;
}

static void sounding_decides(void **state SH_UNUSED)
{
    assert_int_equal(sounded(-64, 0.7, 0.2), SH_PROXIMITY_ACCEPT);
    assert_int_equal(sounded(-64, 0.9, 0.2), SH_PROXIMITY_REJECT);
    assert_int_equal(sounded(-52, 2.5, 0.2), SH_PROXIMITY_REJECT);
    assert_int_equal(sounded(-73, 0.5, 0.1), SH_PROXIMITY_REJECT); /* no such distance has it */
    /* What is no distance is not believed. */
    static const double none[] = {(double)NAN, (double)INFINITY, -1.0};
    for (size_t i = 0; i < SH_COUNT(none); i++) {
        assert_int_equal(sounded(-52, none[i], 0.1), SH_PROXIMITY_ACCEPT);
        assert_int_equal(sounded(-64, 0.5, none[i]), SH_PROXIMITY_REJECT);
    }
}

/* The meter follows within 200 ms of samples that come every 30. */
static void the_meter_follows(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    for (sh_ms t = 0; t < 2000; t += 30)
        add(p, t, -73);
    double far = sh_proximity_at(p, 1980).metres;
    for (sh_ms t = 2010; t <= 2200; t += 30)
        add(p, t, -50);
    double near = sh_proximity_at(p, 2200).metres;
    assert_true(near < far * 0.6);
    sh_proximity_free(p);
}

static void bad_samples(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    static const int bad[] = {SH_RSSI_NONE, 21, -128, 1000000, -1000000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        add(p, 100 * i, bad[i]);
    assert_int_equal(sh_proximity_at(p, 1000).samples, 0);
    add(p, 1000, -127);
    add(p, 1000, 20);
    assert_int_equal(sh_proximity_at(p, 1000).samples, 2);
    /* Time that runs backwards: the sample does not count, asking earlier is asking now. */
    add(p, 999, -50);
    add(p, 0, -50);
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
        struct sh_level level = sh_level_best(none[i], none[i]);
        assert_int_equal(level.kind, SH_LEVEL_ASSUMED);
        assert_true(level.dbm == SH_DEFAULT_1M_DBM);
        assert_int_equal(sh_level_best(none[i], -50.0).kind, SH_LEVEL_STATED);
        assert_int_equal(sh_level_best(-50.0, none[i]).kind, SH_LEVEL_CALIBRATED);
    }
}

static void constant_memory(void **state SH_UNUSED)
{
    struct sh_proximity *p = make(SH_PROXIMITY_APPROACH, REF);
    sh_ms now = 0;
    for (unsigned i = 0; i < 1000; i++)
        add(p, now++, -50);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 1000000; i++)
        add(p, now++, -50);
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
        add(approach, now, sh_air_rssi(&air, a, b, 37 + (unsigned)(i % 3), i));
        enum sh_proximity_verdict verdict = sh_proximity_at(approach, now).verdict;
        if (i >= 3 && verdict != wanted)
            fail_msg("seed %u, %.2f m, approach, sample %u", (unsigned)seed, metres, (unsigned)i);
    }
    sh_proximity_free(approach);
    struct sh_proximity *measure = make(SH_PROXIMITY_MEASURE, air.tx1m_dbm);
    for (uint64_t i = 0; i <= SH_MEASURE_MS / air.sample_ms; i++) {
        unsigned channel = (unsigned)(i * 7 % 37);
        add(measure, i * air.sample_ms, sh_air_rssi(&air, a, b, channel, i << 1));
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
        cmocka_unit_test(score_and_metres),
        cmocka_unit_test(approach_decides_and_changes),
        cmocka_unit_test(approach_takes_slow_senders),
        cmocka_unit_test(approach_forgets_over_a_pause),
        cmocka_unit_test(measure_decides_once),
        cmocka_unit_test(movement_is_asked_for),
        cmocka_unit_test(moved_but_far),
        cmocka_unit_test(clear_cases_are_quick),
        cmocka_unit_test(less_known_more_wanted),
        cmocka_unit_test(measure_wants_samples),
        cmocka_unit_test(silence),
        cmocka_unit_test(finished_early),
        cmocka_unit_test(bursts_and_jumps),
        cmocka_unit_test(both_ends),
        cmocka_unit_test(unequally_known),
        cmocka_unit_test(stepped_power),
        cmocka_unit_test(sounding_decides),
        cmocka_unit_test(the_meter_follows),
        cmocka_unit_test(bad_samples),
        cmocka_unit_test(unknown_reference),
        cmocka_unit_test(constant_memory),
        cmocka_unit_test(default_air_all_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
