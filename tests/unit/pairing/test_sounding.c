/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>

#include "sounding_synth.h"

#define SEEDS 20

static struct sh_sounding *make(void)
{
    struct sh_sounding *sounding = sh_sounding_new();
    assert_non_null(sounding);
    return sounding;
}

static void give(struct sh_sounding *sounding, struct synth *synth)
{
    synth_make(synth);
    for (size_t i = 0; i < synth->n; i++)
        sh_sounding_add(sounding, &synth->steps[i]);
    sh_sounding_complete(sounding);
}

/* What so many procedures say. */
static struct sh_sounding_estimate after(struct synth synth, unsigned procedures)
{
    struct sh_sounding *sounding = make();
    for (unsigned i = 0; i < procedures; i++)
        give(sounding, &synth);
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    sh_sounding_free(sounding);
    return e;
}

#define assert_near(value, wanted, off) assert_true(fabs((value) - (wanted)) <= (off))
#define assert_verdict(e, what)                                                                    \
    assert_string_equal(sh_sounding_verdict_name((e).verdict), sh_sounding_verdict_name(what))

static void nothing_known(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    assert_verdict(e, SH_SOUNDING_TOO_LITTLE);
    assert_true(isnan(e.metres) && isnan(e.sd_m) && isnan(e.phase_m) && isnan(e.time_m));
    sh_sounding_complete(sounding);
    assert_verdict(sh_sounding_now(sounding), SH_SOUNDING_TOO_LITTLE);
    sh_sounding_free(sounding);
    sh_sounding_free(NULL);
}

static void distances(void **state SH_UNUSED)
{
    static const double metres[] = {0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0};
    for (size_t i = 0; i < SH_COUNT(metres); i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct sh_sounding_estimate e = after(synth_plain(metres[i], seed), 1);
            assert_verdict(e, SH_SOUNDING_GOOD);
            assert_near(e.phase_m, metres[i], 0.03);
            assert_near(e.time_m, metres[i], 0.5);
            assert_true(e.metres == fmax(e.phase_m, e.time_m));
            assert_true(e.sd_m == (e.phase_m >= e.time_m ? e.phase_sd_m : e.time_sd_m));
            assert_near(e.metres, metres[i], 0.5);
            assert_int_equal(e.channels, 72);
            assert_int_equal(e.procedures, 1);
            assert_true(e.round_trips >= 25 && e.round_trips <= 30);
        }
    }
}

/* More procedures bring the time nearer, and its mean with it. */
static void more_procedures_are_better(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(0.7, seed);
        synth.noise = 0.3;
        struct sh_sounding_estimate e = after(synth, 16);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_int_equal(e.procedures, 16);
        assert_near(e.phase_m, 0.7, 0.08);
        assert_near(e.time_m, 0.7, 0.15);
        assert_near(e.metres, 0.7, 0.15);
    }
}

static void noise(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(1.0, seed);
        synth.noise = 0.3; /* some 10 dB */
        synth.trip_sd_ns = 10.0;
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_near(e.phase_m, 1.0, 0.2);
        assert_near(e.time_m, 1.0, 1.2);
    }
}

static void antennas_are_told_apart(void **state SH_UNUSED)
{
    for (unsigned antennas = 2; antennas <= 4; antennas++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct synth synth = synth_plain(2.0, seed);
            synth.antennas = antennas;
            assert_near(after(synth, 1).phase_m, 2.0, 0.02);
        }
    }
}

/* Of the tones only those of two antenna paths are heard, and the second turns them round: where the two are mixed up, they
 * take each other away. */
static void two_are_heard(struct sh_sounding_step *step, const char *order, char first, char second)
{
    for (size_t slot = 0; order[slot]; slot++) {
        struct sh_sounding_tone *tone = &step->initiator.tones[slot];
        if (order[slot] != first && order[slot] != second)
            tone->quality = 3;
        if (order[slot] == second) {
            tone->i = (int16_t)-tone->i;
            tone->q = (int16_t)-tone->q;
        }
    }
}

static double phase_of_two(uint8_t index, const char *order, char first, char second)
{
    static const char *const identity[] = {"", "1", "12", "123", "1234"};
    struct sh_sounding *sounding = make();
    struct synth synth = synth_plain(1.0, index);
    synth.antennas = (unsigned)strlen(order);
    synth_make(&synth);
    for (size_t i = 0; i < synth.n; i++) {
        struct sh_sounding_step *step = &synth.steps[i];
        bool permuted = synth_next(&synth) % 2;
        step->initiator.permutation = step->reflector.permutation = permuted ? index : 0;
        two_are_heard(step, permuted ? order : identity[synth.antennas], first, second);
        sh_sounding_add(sounding, step);
    }
    sh_sounding_complete(sounding);
    double metres = sh_sounding_now(sounding).phase_m;
    sh_sounding_free(sounding);
    return metres;
}

static void permutations_are_followed(void **state SH_UNUSED)
{
    /* Rows of the tables "Antenna Path Permutation" of Vol 6 Part H; the first one is everywhere the identity. */
    static const struct {
        uint8_t index;
        const char *order;
    } rows[] = {{1, "21"},    {1, "213"},   {2, "132"},   {3, "312"},   {4, "321"},   {5, "231"},
                {6, "1243"},  {7, "2143"},  {8, "1423"},  {9, "4123"},  {12, "1432"}, {16, "3412"},
                {17, "4312"}, {19, "2431"}, {20, "4321"}, {21, "3421"}, {22, "3241"}, {23, "2341"}};
    for (size_t row = 0; row < SH_COUNT(rows); row++) {
        char last = (char)('0' + strlen(rows[row].order));
        for (char first = '1'; first < last; first++) {
            for (char second = (char)(first + 1); second <= last; second++)
                assert_near(phase_of_two(rows[row].index, rows[row].order, first, second), 1.0,
                            0.03);
        }
    }
}

static void late_way_is_stronger(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(0.8, seed);
        synth.ways[0] =
            (struct synth_way){6.8 + (double)(seed % 4), 1.5, 6.28 * (double)seed / SEEDS};
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_near(e.phase_m, 0.8, 0.15);
    }
}

/* Three weaker ways, of lengths that the bandwidth cannot tell from the direct one: off, but not by metres. */
static void room(void **state SH_UNUSED)
{
    unsigned good = 0;
    for (uint64_t seed = 0; seed < 5 * SEEDS; seed++) {
        struct synth synth = synth_plain(1.0, seed);
        for (size_t i = 0; i < SH_COUNT(synth.ways); i++)
            synth.ways[i] =
                (struct synth_way){1.5 + 6.0 * synth_uniform(&synth),
                                   0.2 + 0.3 * synth_uniform(&synth), 6.28 * synth_uniform(&synth)};
        struct sh_sounding_estimate e = after(synth, 1);
        good += e.verdict == SH_SOUNDING_GOOD && fabs(e.metres - 1.0) < 1.0;
    }
    assert_true(good >= 95);
}

static void channels_are_missing(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(1.2, seed);
        /* Every third, and a hole of 20 where Wi-Fi is. */
        for (unsigned k = 0; k < SH_SOUNDING_CHANNELS; k++)
            synth.without[k] |= k % 3 == 1 || (k > 30 && k < 51);
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_near(e.phase_m, 1.2, 0.04);
        assert_true(e.channels < 40);
    }
}

static void too_few_channels(void **state SH_UNUSED)
{
    struct synth few = synth_plain(1.0, 1);
    struct synth close = few;
    unsigned left = 0;
    for (unsigned k = 0; k < SH_SOUNDING_CHANNELS; k++) {
        few.without[k] |= k % 4 != 0 || left >= SH_SOUNDING_CHANNELS_MIN - 1;
        left += !few.without[k];
        close.without[k] |= k < 30 || k > 68;
    }
    struct sh_sounding_estimate e = after(few, 3);
    assert_verdict(e, SH_SOUNDING_TOO_LITTLE);
    assert_true(isnan(e.metres) && isnan(e.phase_m));
    assert_near(e.time_m, 1.0, 0.5);
    assert_verdict(after(close, 3), SH_SOUNDING_TOO_LITTLE);
}

/* Oscillators and their difference cancel; what is left of 2 ppm is 3 cm. */
static void clocks_differ(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(0.5, seed);
        synth.offset_ppm = seed % 2 ? 2.0 : -2.0;
        assert_near(after(synth, 1).phase_m, 0.5, 0.06);
    }
}

/* Over all channels 37 m are 19 turns. */
static void phase_wraps(void **state SH_UNUSED)
{
    static const double metres[] = {37.0, 75.0, 112.0, 140.0};
    for (size_t i = 0; i < SH_COUNT(metres); i++) {
        struct sh_sounding_estimate e = after(synth_plain(metres[i], i), 1);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_near(e.phase_m, metres[i], 0.03);
    }
    /* Beyond the ambiguity the phase says near; the time does not. */
    struct sh_sounding_estimate e = after(synth_plain(150.4, 1), 1);
    assert_near(e.phase_m, 0.5, 0.03);
    assert_near(e.time_m, 150.4, 0.5);
    assert_verdict(e, SH_SOUNDING_DISAGREE);
    assert_true(isnan(e.metres));
    /* Just below 0 is noise, and counts as 0. */
    struct synth touching = synth_plain(-0.1, 1);
    touching.trip_metres = -0.2;
    touching.trip_sd_ns = 0.2;
    e = after(touching, 1);
    assert_verdict(e, SH_SOUNDING_GOOD);
    assert_near(e.phase_m, -0.1, 0.03);
    assert_true(e.metres == 0.0);
}

static void larger_counts(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(0.5, 3);
    synth.trip_sd_ns = 1.0;
    synth.trip_metres = 1.4;
    struct sh_sounding_estimate e = after(synth, 4);
    assert_verdict(e, SH_SOUNDING_GOOD);
    assert_near(e.metres, 1.4, 0.1);
    assert_true(e.sd_m == e.time_sd_m);
    synth = synth_plain(1.4, 3);
    synth.trip_sd_ns = 1.0;
    synth.trip_metres = 0.5;
    e = after(synth, 4);
    assert_verdict(e, SH_SOUNDING_GOOD);
    assert_near(e.metres, 1.4, 0.03);
    assert_true(e.sd_m == e.phase_sd_m);
}

static void late_packets_are_outliers(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(1.0, seed);
        synth.wild = 9; /* of 30; they are 30 m off */
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_GOOD);
        assert_near(e.time_m, 1.0, 0.8);
        assert_true(e.round_trips <= 21);
    }
}

/* Times that scatter over tens of metres tell nothing, however many there are. */
static void times_that_say_nothing(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(1.0, 1);
    synth.trip_sd_ns = 100.0;
    assert_verdict(after(synth, 1), SH_SOUNDING_TOO_LITTLE);
}

static void too_few_round_trips(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(1.0, 1);
    synth.trip_sd_ns = 0.1;
    synth.trips = SH_SOUNDING_TRIPS_MIN - 1;
    struct sh_sounding_estimate e = after(synth, 1);
    assert_verdict(e, SH_SOUNDING_TOO_LITTLE);
    assert_true(isnan(e.metres));
    assert_near(e.phase_m, 1.0, 0.03);
    assert_verdict(after(synth, 2), SH_SOUNDING_GOOD);
    /* Packets that were received with errors, or not at all, or without a time. */
    synth.trips = 30;
    for (uint8_t quality = 1; quality <= 2; quality++) {
        synth.packet_quality = quality;
        e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_TOO_LITTLE);
        assert_int_equal(e.round_trips, 0);
    }
}

static void no_time_is_no_time(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct sh_sounding_step step = {.mode = 1, .initiator = {.time = SH_SOUNDING_NO_TIME}};
    sh_sounding_add(sounding, &step);
    step = (struct sh_sounding_step){.mode = 3, .reflector = {.time = SH_SOUNDING_NO_TIME}};
    sh_sounding_add(sounding, &step);
    assert_int_equal(sh_sounding_now(sounding).round_trips, 0);
    step.reflector.time = 0;
    sh_sounding_add(sounding, &step);
    assert_int_equal(sh_sounding_now(sounding).round_trips, 1);
    sh_sounding_free(sounding);
}

/* Somebody turns the tones as if the two were side by side; the packets take their time. */
static void forged_phase(void **state SH_UNUSED)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct synth synth = synth_plain(0.3, seed);
        synth.trip_metres = 20.0;
        struct sh_sounding_estimate e = after(synth, 3);
        assert_verdict(e, SH_SOUNDING_DISAGREE);
        assert_true(isnan(e.metres));
        assert_near(e.phase_m, 0.3, 0.03);
        assert_near(e.time_m, 20.0, 0.5);
        /* And the other way round: packets guessed early. */
        synth = synth_plain(20.0, seed);
        synth.trip_metres = 0.3;
        assert_verdict(after(synth, 3), SH_SOUNDING_DISAGREE);
    }
}

static void negative_round_trip(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(0.3, 1);
    synth.trip_metres = -10.0;
    struct sh_sounding_estimate e = after(synth, 1);
    assert_verdict(e, SH_SOUNDING_DISAGREE);
    assert_near(e.time_m, -10.0, 0.5);
    /* Nor do two that agree on less than nothing. */
    synth = synth_plain(-3.0, 1);
    e = after(synth, 1);
    assert_near(e.phase_m, -3.0, 0.03);
    assert_verdict(e, SH_SOUNDING_DISAGREE);
    assert_true(isnan(e.metres));
}

static void attack_metric(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(0.5, 1);
    for (unsigned nadm = 0; nadm <= 6; nadm++) {
        synth.nadm = (uint8_t)nadm;
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, nadm < 3 ? SH_SOUNDING_GOOD : SH_SOUNDING_ATTACK);
        assert_true(isnan(e.metres) == (nadm >= 3));
    }
    synth.nadm = SH_SOUNDING_NADM_UNKNOWN;
    assert_verdict(after(synth, 1), SH_SOUNDING_GOOD);
}

/* One packet is enough, of either side, and good ones after it do not make it good. */
static void one_attack_is_remembered(void **state SH_UNUSED)
{
    for (unsigned side = 0; side < 2; side++) {
        struct sh_sounding *sounding = make();
        struct synth synth = synth_plain(0.5, 1);
        synth_make(&synth);
        struct sh_sounding_side *which =
            side == 0 ? &synth.steps[10].initiator : &synth.steps[10].reflector;
        which->nadm = 4;
        which->packet_quality = 2; /* not found: there is nothing to tell of */
        sh_sounding_add(sounding, &synth.steps[10]);
        give(sounding, &synth);
        assert_verdict(sh_sounding_now(sounding), SH_SOUNDING_GOOD);
        synth_make(&synth);
        which->nadm = 4;
        which->packet_quality = 1;
        sh_sounding_add(sounding, &synth.steps[10]);
        for (unsigned i = 0; i < 2 * SH_SOUNDING_PROCEDURES; i++)
            give(sounding, &synth);
        assert_verdict(sh_sounding_now(sounding), SH_SOUNDING_ATTACK);
        sh_sounding_free(sounding);
    }
}

static void bad_tones_do_not_count(void **state SH_UNUSED)
{
    static const uint8_t bad[] = {2, 3, 7, 0x10, 0x20, 0x23};
    struct synth synth = synth_plain(1.0, 1);
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        synth.tone_quality = bad[i];
        struct sh_sounding_estimate e = after(synth, 1);
        assert_verdict(e, SH_SOUNDING_TOO_LITTLE);
        assert_true(isnan(e.phase_m));
    }
    synth.tone_quality = 1;
    assert_near(after(synth, 1).phase_m, 1.0, 0.03);
}

/* Middling tones that tell of a shorter way are too weak beside twice as many good ones. */
static void better_tones_weigh_more(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct synth near = synth_plain(1.0, 1);
    struct synth far = synth_plain(21.0, 1);
    near.tone_quality = 1;
    synth_make(&far);
    for (size_t i = 0; i < 2 * far.n; i++)
        sh_sounding_add(sounding, &far.steps[i % far.n]);
    give(sounding, &near);
    assert_near(sh_sounding_now(sounding).phase_m, 21.0, 0.05);
    sh_sounding_free(sounding);
}

static void out_of_range(void **state SH_UNUSED)
{
    static const struct {
        uint8_t channels, paths, permutation, other; /* channels: so much higher */
    } wrong[] = {{79, 1, 0, 0}, {177, 1, 0, 0}, {0, 0, 0, 0}, {0, 5, 0, 0},   {0, 1, 1, 1},
                 {0, 2, 2, 2},  {0, 3, 6, 6},   {0, 4, 3, 5}, {0, 4, 24, 24}, {0, 255, 255, 255}};
    for (size_t row = 0; row < SH_COUNT(wrong); row++) {
        struct sh_sounding *sounding = make();
        struct synth synth = synth_plain(1.0, 1);
        synth_make(&synth);
        for (size_t i = 0; i < synth.n; i++) {
            struct sh_sounding_step step = synth.steps[i];
            step.channel = (uint8_t)(step.channel + wrong[row].channels);
            step.paths = wrong[row].paths;
            step.initiator.permutation = wrong[row].permutation;
            step.reflector.permutation = wrong[row].other;
            sh_sounding_add(sounding, &step);
        }
        sh_sounding_complete(sounding);
        assert_verdict(sh_sounding_now(sounding), SH_SOUNDING_TOO_LITTLE);
        assert_true(isnan(sh_sounding_now(sounding).phase_m));
        sh_sounding_free(sounding);
    }
}

static void garbage(void **state SH_UNUSED)
{
    unsigned poor = 0;
    for (uint64_t seed = 0; seed < 5 * SEEDS; seed++) {
        struct synth synth = synth_plain(0.5, seed);
        synth.garbage = true;
        synth.antennas = 1 + (unsigned)seed % 4;
        struct sh_sounding_estimate e = after(synth, 1);
        assert_true(e.verdict != SH_SOUNDING_GOOD);
        poor += e.verdict == SH_SOUNDING_POOR;
    }
    assert_int_equal(poor, 5 * SEEDS);
    /* No power at all. */
    struct sh_sounding *sounding = make();
    for (uint8_t k = 2; k < SH_SOUNDING_CHANNELS; k++)
        sh_sounding_add(sounding, &(struct sh_sounding_step){.mode = 2, .channel = k, .paths = 1});
    sh_sounding_complete(sounding);
    assert_verdict(sh_sounding_now(sounding), SH_SOUNDING_POOR);
    sh_sounding_free(sounding);
}

/* Any bytes at all: no estimate is made of them, and nothing is read or written beside what there is. */
static void any_bytes(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct synth synth = synth_plain(0.5, 1);
    for (unsigned i = 0; i < 20000; i++) {
        struct sh_sounding_step step = {.mode = 0};
        uint8_t *octets = (uint8_t *)&step;
        for (size_t k = 0; k < sizeof(step); k++)
            octets[k] = (uint8_t)synth_next(&synth);
        step.mode %= 5;
        sh_sounding_add(sounding, &step);
    }
    sh_sounding_complete(sounding);
    assert_true(sh_sounding_now(sounding).verdict != SH_SOUNDING_GOOD);
    sh_sounding_free(sounding);
}

/* One procedure that is off, among others, does not move the middle. */
static void one_procedure_is_off(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct synth synth = synth_plain(0.6, 1);
    struct synth off = synth_plain(9.0, 2);
    off.trips = 0;
    for (unsigned i = 0; i < 5; i++)
        give(sounding, i == 2 ? &off : &synth);
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    assert_verdict(e, SH_SOUNDING_GOOD);
    assert_near(e.phase_m, 0.6, 0.03);
    assert_true(e.phase_sd_m < 0.5);
    sh_sounding_free(sounding);
}

/* Carried away: what was measured before is forgotten in the end. */
static void latest_count(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct synth near = synth_plain(0.6, 1);
    struct synth far = synth_plain(4.0, 2);
    for (unsigned i = 0; i < 3 * SH_SOUNDING_PROCEDURES; i++)
        give(sounding, i < SH_SOUNDING_PROCEDURES ? &near : &far);
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    assert_verdict(e, SH_SOUNDING_GOOD);
    assert_near(e.phase_m, 4.0, 0.03);
    assert_near(e.time_m, 4.0, 0.2);
    assert_int_equal(e.procedures, SH_SOUNDING_PROCEDURES);
    sh_sounding_free(sounding);
}

static void memory_is_constant(void **state SH_UNUSED)
{
    struct sh_sounding *sounding = make();
    struct synth synth = synth_plain(0.6, 1);
    give(sounding, &synth);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 40; i++)
        give(sounding, &synth);
    assert_int_equal(mallinfo2().uordblks, before);
    sh_sounding_free(sounding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(distances),
        cmocka_unit_test(more_procedures_are_better),
        cmocka_unit_test(noise),
        cmocka_unit_test(antennas_are_told_apart),
        cmocka_unit_test(permutations_are_followed),
        cmocka_unit_test(late_way_is_stronger),
        cmocka_unit_test(room),
        cmocka_unit_test(channels_are_missing),
        cmocka_unit_test(too_few_channels),
        cmocka_unit_test(clocks_differ),
        cmocka_unit_test(phase_wraps),
        cmocka_unit_test(larger_counts),
        cmocka_unit_test(late_packets_are_outliers),
        cmocka_unit_test(times_that_say_nothing),
        cmocka_unit_test(too_few_round_trips),
        cmocka_unit_test(no_time_is_no_time),
        cmocka_unit_test(forged_phase),
        cmocka_unit_test(negative_round_trip),
        cmocka_unit_test(attack_metric),
        cmocka_unit_test(one_attack_is_remembered),
        cmocka_unit_test(bad_tones_do_not_count),
        cmocka_unit_test(better_tones_weigh_more),
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(garbage),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(one_procedure_is_off),
        cmocka_unit_test(latest_count),
        cmocka_unit_test(memory_is_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
