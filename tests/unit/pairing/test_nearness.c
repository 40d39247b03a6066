/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both ends judged together: by numbers that a person can follow. The level at one metre is -60 dBm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "pairing/nearness.h"

#define REF (-60)

/* count samples, 50 ms apart, so much above the level at one metre, +-swing in turns of a block. */
static struct sh_samples heard(unsigned count, int db, int swing)
{
    struct sh_samples samples = {.level = {REF, SH_LEVEL_CALIBRATED}};
    for (unsigned i = 0; i < count; i++)
        sh_samples_add(&samples, 7000 + i * 50, REF + db + (i / 5 % 2 ? swing : -swing),
                       SH_CHANNEL_UNKNOWN);
    return samples;
}

static struct sh_nearness judge(const struct sh_samples *ours, const struct sh_samples *theirs,
                                enum sh_proximity_rule rule)
{
    struct sh_proximity_estimate estimate = {.verdict = SH_PROXIMITY_ACCEPT, .metres = 0.5};
    struct sh_nearness_input input = {
        .rule = rule, .estimate = &estimate, .ours = ours, .theirs = theirs};
    struct sh_nearness nearness;
    assert_int_equal(sh_nearness_judge(&input, &nearness), SH_OK);
    return nearness;
}

static enum sh_cause cause_of(const struct sh_samples *ours, const struct sh_samples *theirs)
{
    struct sh_nearness nearness = judge(ours, theirs, SH_PROXIMITY_NORMAL);
    return sh_nearness_cause(&nearness);
}

static void both_near(void **state SH_UNUSED)
{
    struct sh_samples ours = heard(60, 8, 0), theirs = heard(60, 6, 0);
    struct sh_nearness n = judge(&ours, &theirs, SH_PROXIMITY_NORMAL);
    assert_int_equal(sh_nearness_cause(&n), SH_OK);
    assert_float_equal(n.joint.evidence.score_db, 7, 0.01);
    assert_float_equal(n.joint.evidence.asymmetry_db, 2, 0.01);
    assert_int_equal(n.samples[SH_SIDE_OURS], 60);
    assert_int_equal(n.samples[SH_SIDE_THEIRS], 60);
    assert_float_equal(n.rate_hz[SH_SIDE_THEIRS], 20, 0.01);
    assert_int_equal(n.level[SH_SIDE_THEIRS].kind, SH_LEVEL_CALIBRATED);
    assert_int_equal(n.rule, SH_PROXIMITY_NORMAL);
    assert_float_equal(n.ours.metres, 0.5, 0.001);
    assert_false(n.stepped);
    /* The strict rule asks for more: 5.5 dB of a device that lies still. */
    ours = heard(60, 5, 0);
    theirs = heard(60, 5, 0);
    assert_int_equal(cause_of(&ours, &theirs), SH_OK);
    n = judge(&ours, &theirs, SH_PROXIMITY_STRICT);
    assert_int_equal(sh_nearness_cause(&n), SH_NEAR_TOO_FAR);
}

/* More than 6 dB apart: refused by both, and both say who hears whom louder. */
static void an_amplifier_on_one_side(void **state SH_UNUSED)
{
    struct sh_samples loud = heard(60, 14, 0), plain = heard(60, 4, 0), close = heard(60, 9, 0);
    assert_int_equal(cause_of(&loud, &plain), SH_NEAR_ASYMMETRIC);
    assert_string_equal(sh_detail(), "we hear it +14.0 dB from what one metre gives, it hears us "
                                     "+4.0 dB: we hear it louder");
    assert_int_equal(cause_of(&plain, &loud), SH_NEAR_ASYMMETRIC);
    assert_string_equal(sh_detail(), "we hear it +4.0 dB from what one metre gives, it hears us "
                                     "+14.0 dB: it hears us louder");
    assert_int_equal(cause_of(&close, &plain), SH_OK);
}

/* Each alone was near, together they are not; only movement was missing. */
static void together_not_near(void **state SH_UNUSED)
{
    struct sh_samples moved = heard(60, 0, 3), still = heard(60, 4, 0);
    assert_int_equal(cause_of(&moved, &still), SH_NEAR_TOO_FAR);
    assert_non_null(strstr(sh_detail(), "move it a little"));
    struct sh_samples far = heard(60, -4, 0);
    assert_int_equal(cause_of(&far, &far), SH_NEAR_TOO_FAR);
    assert_null(strstr(sh_detail(), "move it"));
    assert_non_null(strstr(sh_detail(), "both sides together"));
}

/* One took eight seconds, far first and near then, the other one second: both ends count, whoever of them judges. */
static void the_ends_of_both_recordings_count(void **state SH_UNUSED)
{
    struct sh_samples slow = heard(0, 0, 0), quick = heard(25, 12, 0);
    for (unsigned i = 0; i < 160; i++)
        sh_samples_add(&slow, 100 + i * 50, REF + (i < 95 ? -11 : 11), SH_CHANNEL_UNKNOWN);
    struct sh_nearness n = judge(&slow, &quick, SH_PROXIMITY_NORMAL);
    assert_int_equal(sh_nearness_cause(&n), SH_OK);
    assert_float_equal(n.joint.evidence.score_db, 11.5, 0.01);
    assert_float_equal(n.joint.evidence.asymmetry_db, -1, 0.01);
    n = judge(&quick, &slow, SH_PROXIMITY_NORMAL);
    assert_int_equal(sh_nearness_cause(&n), SH_OK);
    assert_float_equal(n.joint.evidence.score_db, 11.5, 0.01);
    assert_float_equal(n.joint.evidence.asymmetry_db, 1, 0.01);
}

/* Once a second, for as long as six take. */
static void a_slow_radio(void **state SH_UNUSED)
{
    struct sh_samples slow = heard(0, 0, 0), quick = heard(60, 7, 0);
    for (unsigned i = 0; i < 7; i++)
        sh_samples_add(&slow, 100 + i * 1000, REF + 7, SH_CHANNEL_UNKNOWN);
    assert_int_equal(cause_of(&slow, &quick), SH_OK);
    assert_int_equal(cause_of(&quick, &slow), SH_OK);
    struct sh_nearness n = judge(&slow, &quick, SH_PROXIMITY_NORMAL);
    assert_int_equal(n.joint.evidence.samples[SH_SIDE_OURS], 6);
}

/* A distance that was measured decides here too, but not against an asymmetry. */
static void a_measured_distance(void **state SH_UNUSED)
{
    struct sh_samples ours = heard(60, -5, 0), theirs = heard(60, -4, 0), loud = heard(60, 3, 0);
    struct sh_proximity_estimate estimate = {
        .verdict = SH_PROXIMITY_ACCEPT, .metres = 0.7, .evidence = {.sounding = true}};
    struct sh_nearness_input input = {.estimate = &estimate, .ours = &ours, .theirs = &theirs};
    struct sh_nearness n;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_int_equal(sh_nearness_cause(&n), SH_OK);
    assert_float_equal(n.joint.metres, 0.7, 0.001);
    input.theirs = &loud;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_int_equal(sh_nearness_cause(&n), SH_NEAR_ASYMMETRIC);
}

static void the_weakest_advertisements(void **state SH_UNUSED)
{
    static const struct sh_heard_id sent[] = {{{1}, 0}, {{2}, -20}, {{3}, -10}, {{4}, -20}};
    struct sh_samples ours = heard(60, 9, 0), theirs = heard(60, 9, 0);
    struct sh_proximity_estimate estimate = {.verdict = SH_PROXIMITY_ACCEPT};
    struct sh_nearness_input input = {.estimate = &estimate,
                                      .ours = &ours,
                                      .theirs = &theirs,
                                      .stepped = sent,
                                      .stepped_count = SH_COUNT(sent)};
    struct sh_nearness n;
    theirs.heard_count = 2;
    theirs.heard[0].id[0] = 1;
    theirs.heard[1].id[0] = 3;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_true(n.stepped && n.unheard);
    assert_int_equal(sh_nearness_cause(&n), SH_OK); /* it is told, no more */
    input.rule = SH_PROXIMITY_STRICT;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_int_equal(sh_nearness_cause(&n), SH_NEAR_UNHEARD);
    theirs.heard[1].id[0] = 4;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_false(n.unheard);
    assert_int_equal(sh_nearness_cause(&n), SH_OK);
    theirs.heard[1].id[6] = 1; /* all seven octets count */
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_true(n.unheard);
    input.stepped_count = 0;
    assert_int_equal(sh_nearness_judge(&input, &n), SH_OK);
    assert_false(n.stepped || n.unheard);
}

/* What one hears more than the other, by blocks and over the same three seconds, whatever the levels at one metre are said to be. */
static void the_offset(void **state SH_UNUSED)
{
    struct sh_samples ours = heard(60, 8, 3), theirs = heard(60, 3, 3);
    theirs.level.dbm = -70;
    struct sh_nearness n = judge(&ours, &theirs, SH_PROXIMITY_NORMAL);
    assert_float_equal(n.offset_db, 5, 0.01);
    n = judge(&theirs, &ours, SH_PROXIMITY_NORMAL);
    assert_float_equal(n.offset_db, -5, 0.01);
    /* What was long ago on one side does not count, nor does a burst. */
    struct sh_samples longer = {.level = {REF, SH_LEVEL_CALIBRATED}};
    for (unsigned i = 0; i < 160; i++) {
        unsigned times = i == 155 ? 40 : 1;
        int db = i < 99 || times > 1 ? 23 : 3;
        for (unsigned k = 0; k < times; k++)
            sh_samples_add(&longer, 7000 + i * 50, REF + db, SH_CHANNEL_UNKNOWN);
    }
    ours = heard(60, 8, 0);
    n = judge(&ours, &longer, SH_PROXIMITY_NORMAL);
    assert_float_equal(n.offset_db, 3.5F, 0.3);
    struct sh_samples nothing = {.level = {REF, SH_LEVEL_CALIBRATED}};
    n = judge(&ours, &nothing, SH_PROXIMITY_NORMAL);
    assert_true(isnan(n.offset_db));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_near),
        cmocka_unit_test(an_amplifier_on_one_side),
        cmocka_unit_test(together_not_near),
        cmocka_unit_test(the_ends_of_both_recordings_count),
        cmocka_unit_test(a_slow_radio),
        cmocka_unit_test(a_measured_distance),
        cmocka_unit_test(the_weakest_advertisements),
        cmocka_unit_test(the_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
