/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session in which the anchor learns its level at one metre, between two linked devices: what it learns and is good for, who may teach
 * it, and that nothing else can be had in it. And who says that it returns as another device than its certificate shows.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/session_internal.h"
#include "pairing/air.h"
#include "world_internal.h"

#define LIMIT_MS 60000

static struct world *world;
static const struct sh_calibrated found = {-61.5, 4.25, 150, 40};

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {1000};
    world = world_new(sizes, SH_COUNT(sizes), true);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    world_free(world);
    return 0;
}

static void assert_cause(enum sh_cause got, enum sh_cause wanted)
{
    assert_string_equal(sh_cause_info(got)->name, sh_cause_info(wanted)->name);
}

static struct run run_of(struct run run)
{
    run.ble_carries = true;
    run.levels_stated = true;
    world_run(world, &run, LIMIT_MS);
    assert_true(run.anchor_over && run.secondary_over);
    return run;
}

/* As new, linked with a code. */
static void link_devices(void)
{
    world_reset(world);
    struct run run = run_of((struct run){.never_type = false});
    assert_cause(run.secondary_cause, SH_OK);
    assert_int_equal(run.codes_shown, 1);
}

/* One metre away; with .calibrate and .found unless the test says otherwise. */
static struct run calibration(struct run run)
{
    run.calibrate = run.never_type = true;
    run.distance_m = run.distance_m > 0 ? run.distance_m : 1.0;
    if (run.found.samples == 0)
        run.found = found;
    return run_of(run);
}

static bool known_level(struct sh_known_level *level)
{
    return sh_registry_get_level(world_anchor(world)->registry,
                                 world_secondary(world)->identity->id, NULL, level) == SH_OK;
}

static void expect_nothing_kept(const struct run *run)
{
    struct sh_known_level level;
    assert_int_equal(run->calibrated[SH_ANCHOR], 0);
    assert_int_equal(run->calibrated[SH_SECONDARY], 0);
    assert_false(known_level(&level));
}

static void expect_no_sync(const struct run *run)
{
    assert_false(run->anchor_done || run->secondary_done);
    assert_int_equal(run->codes_shown, 0);
    assert_int_equal(run->item_count, 0);
}

static void the_anchor_learns(void **state SH_UNUSED)
{
    struct sh_known_level level;
    link_devices();
    struct run run = calibration((struct run){.learns = true, .louder_db = {[SH_ANCHOR] = 5}});
    assert_cause(run.anchor_cause, SH_OK);
    assert_cause(run.secondary_cause, SH_OK);
    expect_no_sync(&run);
    assert_int_equal(run.calibrated[SH_ANCHOR], 1);
    assert_int_equal(run.calibrated[SH_SECONDARY], 1);
    assert_true(known_level(&level));
    /* It hears the secondary 5 dB louder than it is heard. */
    assert_float_equal(level.dbm, found.dbm + 5, 1.0);
    assert_float_equal(level.spread_db, found.spread_db, 0.01);
    assert_int_equal(level.samples, found.samples);
    assert_int_equal(level.positions, found.positions);
    assert_string_equal(level.adapter, "sim");
    /* Both are told the same. */
    assert_float_equal(run.kept[SH_ANCHOR].dbm, level.dbm, 0.01);
    assert_float_equal(run.kept[SH_SECONDARY].dbm, level.dbm, 0.01);
    assert_int_equal(run.kept[SH_SECONDARY].positions, found.positions);
}

/* From then on it measures this one, and only this one, by what it has learned, and says so. */
static void it_counts_in_the_next_session(void **state SH_UNUSED)
{
    struct sh_known_level level;
    link_devices();
    struct run run = run_of((struct run){.never_type = true});
    assert_cause(run.anchor_cause, SH_OK);
    assert_int_equal(run.nearness[SH_ANCHOR].level[SH_SIDE_OURS].kind, SH_LEVEL_STATED);
    run = calibration((struct run){.learns = true});
    assert_cause(run.anchor_cause, SH_OK);
    assert_true(known_level(&level));
    run = run_of((struct run){.never_type = true});
    assert_cause(run.anchor_cause, SH_OK);
    assert_true(run.secondary_done);
    const struct sh_nearness *anchor = &run.nearness[SH_ANCHOR],
                             *secondary = &run.nearness[SH_SECONDARY];
    assert_int_equal(anchor->level[SH_SIDE_OURS].kind, SH_LEVEL_CALIBRATED);
    assert_float_equal(anchor->level[SH_SIDE_OURS].dbm, level.dbm, 0.01);
    assert_int_equal(anchor->ours.evidence.level, SH_LEVEL_CALIBRATED);
    assert_int_equal(secondary->level[SH_SIDE_THEIRS].kind, SH_LEVEL_CALIBRATED);
    assert_float_equal(secondary->level[SH_SIDE_THEIRS].dbm, level.dbm, 0.01);
    /* By another adapter nothing is known. */
    level.id[0] ^= 1;
    assert_int_equal(sh_registry_put_level(world_anchor(world)->registry, &level), SH_OK);
    level.id[0] ^= 1;
    strcpy(level.adapter, "another");
    link_devices();
    assert_int_equal(sh_registry_put_level(world_anchor(world)->registry, &level), SH_OK);
    run = run_of((struct run){.never_type = true});
    assert_int_equal(run.nearness[SH_ANCHOR].level[SH_SIDE_OURS].kind, SH_LEVEL_STATED);
}

/* No nearness is demanded, whatever the policies; of two that are far from each other the anchor learns as well. */
static void no_nearness_is_demanded(void **state SH_UNUSED)
{
    link_devices();
    struct run run = calibration((struct run){.learns = true,
                                              .distance_m = 6.0,
                                              .anchor_policy = SH_POLICY_STRICT,
                                              .secondary_policy = SH_POLICY_STRICT,
                                              .stepped = true});
    assert_cause(run.anchor_cause, SH_OK);
    assert_int_equal(run.calibrated[SH_ANCHOR], 1);
    assert_true(run.nearness[SH_ANCHOR].joint.verdict == SH_PROXIMITY_REJECT);
    /* A sync is as strict as ever. */
    run = run_of((struct run){.distance_m = 6.0, .learns = true});
    assert_int_equal(sh_cause_info(run.anchor_cause)->category, SH_CAT_NOT_NEAR);
}

static void nobody_asked_for_it(void **state SH_UNUSED)
{
    link_devices();
    struct run run = calibration((struct run){.learns = false});
    assert_cause(run.anchor_cause, SH_CALIBRATE_NOT_WANTED);
    assert_cause(run.secondary_cause, SH_CALIBRATE_NOT_WANTED);
    expect_no_sync(&run);
    expect_nothing_kept(&run);
    /* And who shares nothing is not there for a sync. */
    run = run_of((struct run){.never_type = true, .learns = true, .shares_nothing = true});
    assert_cause(run.secondary_cause, SH_CALIBRATE_ONLY);
    expect_no_sync(&run);
}

static void what_it_does_not_believe(void **state SH_UNUSED)
{
    static const struct {
        struct sh_calibrated said;
        int louder_db;
        enum sh_cause cause;
    } rows[] = {
        {{-61.5, 4.25, 10, 40}, 0, SH_CALIBRATE_TOO_FEW},
        {{-61.5, 0.5, 150, 40}, 0, SH_CALIBRATE_NOT_MOVED},
        {{-61.5, 20.0, 150, 40}, 0, SH_CALIBRATE_UNSTEADY},
        {{-95.0, 4.25, 150, 40}, 0, SH_CALIBRATE_IMPOSSIBLE},
        {{-30.0, 4.25, 150, 40}, 0, SH_CALIBRATE_IMPOSSIBLE}, /* too far from what is stated */
        {{-61.5, 4.25, 150, 40}, 25, SH_CALIBRATE_IMPOSSIBLE},
    };
    link_devices();
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        struct run run = calibration((struct run){
            .learns = true, .found = rows[i].said, .louder_db = {[SH_ANCHOR] = rows[i].louder_db}});
        assert_cause(run.anchor_cause, rows[i].cause);
        assert_cause(run.secondary_cause, rows[i].cause);
        expect_nothing_kept(&run);
    }
}

/* ---- Who teaches it ---- */

static void a_device_that_was_revoked(void **state SH_UNUSED)
{
    link_devices();
    assert_int_equal(sh_registry_set_state(world_anchor(world)->registry,
                                           world_secondary(world)->identity->id,
                                           SH_DEVICE_IS_SECONDARY, SH_DEVICE_REVOKED),
                     SH_OK);
    struct run run = calibration((struct run){.learns = true});
    assert_cause(run.secondary_cause, SH_LINKED_REVOKED);
    expect_nothing_kept(&run);
}

/* It asks to calibrate with a code, as a stranger would have to. */
static void a_stranger(void **state SH_UNUSED)
{
    world_reset(world);
    struct run run = calibration((struct run){.learns = true});
    assert_cause(run.anchor_cause, SH_LINKED_UNKNOWN);
    assert_cause(run.secondary_cause, SH_LINKED_UNKNOWN);
    expect_no_sync(&run);
    expect_nothing_kept(&run);
}

/* Another linked device of this anchor, as far as the registry goes. */
static void add_other(struct sh_device *ret_other)
{
    struct sh_registry *registry = world_anchor(world)->registry;
    assert_int_equal(sh_registry_get_device(registry, world_secondary(world)->identity->id,
                                            SH_DEVICE_IS_SECONDARY, ret_other),
                     SH_OK);
    ret_other->id[0] ^= 1;
    ret_other->serial[15] ^= 1;
    strcpy(ret_other->name, "other");
    assert_int_equal(sh_registry_put_device(registry, ret_other), SH_OK);
}

/* The anchor takes what is said in the greeting for the other's. */
static void mistake(struct world *in)
{
    struct sh_session *session = in->sides[SH_ANCHOR].session;
    if (session->claimed)
        session->claimed_id[0] = (uint8_t)(in->secondary.identity->id[0] ^ 1);
}

static void it_greets_as_another(void **state SH_UNUSED)
{
    struct sh_device other;
    link_devices();
    add_other(&other);
    struct run run = run_of((struct run){.never_type = true});
    assert_cause(run.anchor_cause, SH_OK); /* it is told apart from the other one */
    run = run_of((struct run){.never_type = true, .meddle = mistake});
    assert_cause(run.anchor_cause, SH_TLS_BAD_CERTIFICATE);
    assert_cause(run.secondary_cause, SH_TLS_BAD_CERTIFICATE);
    expect_no_sync(&run);
}

/* What it says of itself means nothing to the anchor, who then goes by the certificate as ever. */
static void nobody_knows_what_it_says(void **state SH_UNUSED)
{
    struct sh_known_level level = {.adapter = "sim", .dbm = -58.0, .spread_db = 3.0};
    struct sh_device anchor;
    link_devices();
    struct sh_registry *registry = world_secondary(world)->registry;
    memcpy(level.id, world_secondary(world)->identity->id, sizeof(level.id));
    assert_int_equal(sh_registry_put_level(world_anchor(world)->registry, &level), SH_OK);
    assert_int_equal(sh_registry_get_device(registry, world_anchor(world)->identity->id,
                                            SH_DEVICE_IS_ANCHOR, &anchor),
                     SH_OK);
    anchor.serial[15] ^= 1;
    assert_int_equal(sh_registry_put_device(registry, &anchor), SH_OK);
    struct run run = run_of((struct run){.never_type = true});
    assert_cause(run.anchor_cause, SH_OK);
    assert_true(run.secondary_done);
    assert_int_equal(run.nearness[SH_ANCHOR].level[SH_SIDE_OURS].kind, SH_LEVEL_STATED);
}

/* One greeting of a returning device; returns what the anchor answers first, and whether it went on. */
static unsigned greet(size_t id_len, int purpose, bool *ret_goes_on)
{
    struct raw raw = {.session_role = SH_ANCHOR};
    struct raw_peer *peer = raw_new(world, &raw);
    sh_autofree uint8_t *frame = NULL;
    uint8_t nonce[SH_HELLO_NONCE] = {1}, id[64] = {2};
    uint32_t suites[] = {1};
    size_t n = 0;
    Simhop__Hello hello = SIMHOP__HELLO__INIT;
    hello.version_min = hello.version_max = 1;
    hello.role = SIMHOP__ROLE__ROLE_SECONDARY;
    hello.mode = SIMHOP__MODE__MODE_RECONNECT;
    hello.consent = SIMHOP__CONSENT__CONSENT_CODE;
    hello.n_suites = SH_COUNT(suites);
    hello.suites = suites;
    hello.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    hello.returning_id = (ProtobufCBinaryData){id_len, id};
    hello.purpose = (Simhop__Purpose)purpose;
    assert_int_equal(sh_msg_frame(SH_MSG_HELLO, &hello.base, &frame, &n), SH_OK);
    raw_send(peer, frame, n);
    raw_wait(peer, 200);
    *ret_goes_on = !raw.over;
    unsigned first = raw.got_len > 0 ? raw.got[0] : 0;
    raw_free(peer);
    return first;
}

/* An older secondary says nothing of itself, a newer one may say something else: no reason to refuse either. */
static void other_versions(void **state SH_UNUSED)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 64};
    bool goes_on = false;
    link_devices();
    for (size_t i = 0; i < SH_COUNT(lengths); i++) {
        assert_int_equal(greet(lengths[i], SIMHOP__PURPOSE__PURPOSE_UNSPECIFIED, &goes_on),
                         SH_MSG_HELLO);
        assert_true(goes_on);
    }
    /* But what it comes for has to be known. */
    assert_int_equal(greet(16, 2, &goes_on), SH_MSG_ABORT);
    assert_false(goes_on);
}

/* ---- What else might be had in it ---- */

/* A secondary that greets to calibrate and goes on as if it had come for a sync. */
static void secondary_syncs(struct world *in)
{
    struct sh_session *session = in->sides[SH_SECONDARY].session;
    if (session->stage == STAGE_JUDGE)
        session->result.purpose = SH_PURPOSE_SYNC;
}

/* An anchor that says it calibrates and waits for a request. */
static void anchor_syncs(struct world *in)
{
    struct sh_session *session = in->sides[SH_ANCHOR].session;
    if (session->stage == STAGE_JUDGE)
        session->result.purpose = SH_PURPOSE_SYNC;
}

static void it_asks_to_be_enrolled(void **state SH_UNUSED)
{
    link_devices();
    struct run run =
        calibration((struct run){.learns = true, .distance_m = 0.25, .meddle = secondary_syncs});
    assert_cause(run.anchor_cause, SH_PROTO_WRONG_STATE);
    expect_no_sync(&run);
    expect_nothing_kept(&run);
    run = calibration((struct run){.learns = true, .distance_m = 0.25, .meddle = anchor_syncs});
    assert_cause(run.anchor_cause, SH_PROTO_WRONG_STATE);
    expect_no_sync(&run);
    expect_nothing_kept(&run);
}

static unsigned asked_type;
static bool asked;

/* Once the anchor has learned, and before the secondary knows that: one message more. */
static void ask_for_more(struct world *in)
{
    Simhop__ManifestRequest manifest = SIMHOP__MANIFEST_REQUEST__INIT;
    Simhop__EnrolRequest enrol = SIMHOP__ENROL_REQUEST__INIT;
    Simhop__Pull pull = SIMHOP__PULL__INIT;
    Simhop__Ping ping = SIMHOP__PING__INIT;
    Simhop__LinkState state = SIMHOP__LINK_STATE__INIT;
    Simhop__Calibration calibrate = SIMHOP__CALIBRATION__INIT;
    const ProtobufCMessage *messages[] = {&manifest.base, &enrol.base, &pull.base,
                                          &ping.base,     &state.base, &calibrate.base};
    struct sh_session *secondary = in->sides[SH_SECONDARY].session;
    if (asked || in->sides[SH_ANCHOR].session->stage != STAGE_LINGER)
        return;
    asked = true;
    for (size_t i = 0; i < SH_COUNT(messages); i++) {
        if (messages[i]->descriptor == sh_msg_info(asked_type)->schema)
            assert_int_equal(sh_lane_send(secondary->slots[0].lane, asked_type, messages[i]),
                             SH_OK);
    }
}

static void it_asks_for_more(void **state SH_UNUSED)
{
    static const unsigned types[] = {
        SH_MSG_MANIFEST_REQUEST, SH_MSG_ENROL_REQUEST, SH_MSG_PULL, SH_MSG_PING,
        SH_MSG_LINK_STATE,       SH_MSG_CALIBRATE};
    link_devices();
    for (size_t i = 0; i < SH_COUNT(types); i++) {
        asked_type = types[i];
        asked = false;
        struct run run = calibration((struct run){.learns = true, .meddle = ask_for_more});
        assert_true(asked);
        assert_cause(run.anchor_cause, SH_PROTO_WRONG_STATE);
        assert_int_equal(run.calibrated[SH_ANCHOR], 1);
        expect_no_sync(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_anchor_learns),
        cmocka_unit_test(it_counts_in_the_next_session),
        cmocka_unit_test(no_nearness_is_demanded),
        cmocka_unit_test(nobody_asked_for_it),
        cmocka_unit_test(what_it_does_not_believe),
        cmocka_unit_test(a_device_that_was_revoked),
        cmocka_unit_test(a_stranger),
        cmocka_unit_test(it_greets_as_another),
        cmocka_unit_test(nobody_knows_what_it_says),
        cmocka_unit_test(other_versions),
        cmocka_unit_test(it_asks_to_be_enrolled),
        cmocka_unit_test(it_asks_for_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
