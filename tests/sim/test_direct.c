/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions of linked devices that begin on a network, without a radio: what they may do, and who refuses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define LIMIT_MS 120000
#define LAN      SIMHOP__LINK_KIND__LINK_KIND_LAN
#define BIG      (UINT64_C(6) << 20)

static struct world *world;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {BIG, 10};
    world = world_new(sizes, SH_COUNT(sizes), false);
    return world ? 0 : -1;
}

static int set_up_small(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {1000};
    world = world_new(sizes, SH_COUNT(sizes), false);
    return world ? 0 : -1;
}

static int tear_down(void **state SH_UNUSED)
{
    world_free(world);
    return 0;
}

/* Side by side, with a code; the person stops it when the first item is on its way. */
static void link_them(void)
{
    struct run run = {.ble_carries = true, .stop_in_transfer = true};
    world_reset(world);
    world_run(world, &run, LIMIT_MS);
    assert_int_equal(run.codes_shown, 1);
    assert_false(run.secondary_done);
    assert_int_equal(run.secondary_cause, SH_SESSION_INTERRUPTED);
}

static struct run direct_run(void)
{
    return (struct run){.direct = true, .lan = true};
}

static struct sh_device as_known(enum sh_role to)
{
    struct sh_device device;
    bool anchor = to == SH_ANCHOR;
    struct device *keeper = anchor ? world_anchor(world) : world_secondary(world);
    struct device *other = anchor ? world_secondary(world) : world_anchor(world);
    assert_int_equal(sh_registry_get_device(keeper->registry, other->identity->id,
                                            anchor ? SH_DEVICE_IS_SECONDARY : SH_DEVICE_IS_ANCHOR,
                                            &device),
                     SH_OK);
    return device;
}

static void refused(struct run *run, enum sh_cause secondary, enum sh_cause anchor)
{
    world_run(world, run, LIMIT_MS);
    assert_true(run->secondary_over && run->anchor_over);
    assert_false(run->secondary_done || run->anchor_done);
    assert_int_equal(run->secondary_cause, secondary);
    assert_int_equal(run->anchor_cause, anchor);
    assert_false(world_files_equal(world));
}

static void goes_on(void **state SH_UNUSED)
{
    link_them();
    struct sh_device before[2] = {as_known(SH_ANCHOR), as_known(SH_SECONDARY)};
    struct run run = direct_run();
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done && run.anchor_done);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_int_equal(run.anchor_cause, SH_OK);
    assert_true(world_files_equal(world));
    assert_int_equal(run.codes_shown, 0);
    /* What was here is not sent again, and there was one way only. */
    assert_true(run.resumed > 0);
    assert_int_equal(run.resumed + run.link_bytes[LAN], BIG + 10);
    /* Nearness was not judged, and the token is the one that it was. */
    for (size_t role = 0; role < 2; role++) {
        struct sh_device after = as_known((enum sh_role)role);
        assert_true(run.nearness[role].joint.evidence.rate_hz == 0.0);
        assert_int_equal(after.not_after, before[role].not_after);
        assert_memory_equal(after.serial, before[role].serial, sizeof(after.serial));
        assert_int_equal(after.token_len, before[role].token_len);
        assert_memory_equal(after.token, before[role].token, after.token_len);
        assert_int_equal(after.linked_at, before[role].linked_at);
    }
}

/* Where the anchor can be reached is kept of any session's offers, for the next one. */
static void addresses_are_kept(void **state SH_UNUSED)
{
    struct run run = {.ble_carries = true, .lan = true};
    struct sh_addresses got;
    struct sh_registry *registry = NULL;
    world_reset(world);
    registry = world_secondary(world)->registry;
    const uint8_t *id = world_anchor(world)->identity->id;
    assert_int_equal(sh_registry_get_addresses(registry, id, &got), SH_LINKED_UNKNOWN);
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done);
    assert_int_equal(sh_registry_get_addresses(registry, id, &got), SH_OK);
    assert_int_equal(got.port, 1);
    assert_int_equal(got.count, 1);
    assert_memory_equal(got.list[0].bytes, "\x7f\x00\x00\x01", 4);
    /* A direct session learns what is new, too. */
    got.port = 4711;
    assert_int_equal(sh_registry_put_addresses(registry, &got), SH_OK);
    run = direct_run();
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done);
    assert_int_equal(sh_registry_get_addresses(registry, id, &got), SH_OK);
    assert_int_equal(got.port, 1);
}

static void who_is_not_wanted(void **state SH_UNUSED)
{
    link_them();
    struct sh_registry *registry = world_anchor(world)->registry;
    const uint8_t *id = world_secondary(world)->identity->id;
    struct run run = direct_run();
    assert_int_equal(sh_registry_set_state(registry, id, SH_DEVICE_IS_SECONDARY, SH_DEVICE_REVOKED),
                     SH_OK);
    refused(&run, SH_LINKED_REVOKED, SH_LINKED_REVOKED);
    assert_int_equal(sh_registry_set_state(registry, id, SH_DEVICE_IS_SECONDARY, SH_DEVICE_EXPIRED),
                     SH_OK);
    run = direct_run();
    refused(&run, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
    /* Linked anew meanwhile: the token of before is worth nothing. */
    struct sh_device device = as_known(SH_ANCHOR);
    device.state = SH_DEVICE_AUTHORISED;
    device.serial[5] ^= 1;
    assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    run = direct_run();
    refused(&run, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
}

static void who_demands_nearness(void **state SH_UNUSED)
{
    link_them();
    struct run run = direct_run();
    run.anchor_policy = SH_POLICY_STRICT;
    refused(&run, SH_NEAR_DEMANDED, SH_NEAR_DEMANDED);
    run = direct_run();
    run.secondary_policy = SH_POLICY_STRICT;
    refused(&run, SH_NEAR_DEMANDED, SH_NEAR_DEMANDED);
    run = direct_run();
    run.anchor_policy = run.secondary_policy = SH_POLICY_OFF;
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done && run.anchor_done);
}

/* An anchor that only wants to learn a level has nothing to give by a network. */
static void who_shares_nothing(void **state SH_UNUSED)
{
    link_them();
    struct run run = direct_run();
    run.learns = run.shares_nothing = true;
    refused(&run, SH_CALIBRATE_ONLY, SH_CALIBRATE_ONLY);
}

/* Of the right CA, but not for the key that the anchor was linked with; of another CA. */
static void wrong_certificates(void **state SH_UNUSED)
{
    link_them();
    struct sh_registry *registry = world_secondary(world)->registry;
    struct sh_device known = as_known(SH_SECONDARY), wrong = known;
    struct run run = direct_run();
    wrong.public_key[wrong.public_key_len - 1] ^= 1;
    assert_int_equal(sh_registry_put_device(registry, &wrong), SH_OK);
    refused(&run, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
    struct sh_identity *stranger = NULL;
    uint8_t *ca = NULL;
    assert_int_equal(sh_identity_new(known.linked_at, &stranger), SH_OK);
    wrong = known;
    assert_int_equal(sh_cert_to_der(stranger->ca_cert, &ca, &wrong.ca_len), SH_OK);
    memcpy(wrong.ca, ca, wrong.ca_len);
    free(ca);
    sh_identity_free(stranger);
    assert_int_equal(sh_registry_put_device(registry, &wrong), SH_OK);
    run = direct_run();
    refused(&run, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
    assert_int_equal(sh_registry_put_device(registry, &known), SH_OK);
    run = direct_run();
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done);
}

/* The connection breaks, the network does not: what was offered is used, and nothing comes twice. */
static void the_connection_breaks(void **state SH_UNUSED)
{
    link_them();
    struct run run = direct_run();
    run.link_latency = 50;
    run.direct_breaks_after = 700;
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done && run.anchor_done);
    assert_true(world_files_equal(world));
    assert_true(run.ended_after > 700);
    assert_int_equal(run.resumed + run.link_bytes[LAN], BIG + 10);
    /* With nothing offered the session ends in time, and in a later one the rest comes. */
    link_them();
    run = direct_run();
    run.lan = false;
    run.link_latency = 50;
    run.direct_breaks_after = 700;
    world_run(world, &run, LIMIT_MS);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(sh_cause_info(run.secondary_cause)->category, SH_CAT_NO_LINK);
    assert_true(run.ended_after < 700 + 22000);
    run = direct_run();
    world_run(world, &run, LIMIT_MS);
    assert_true(run.secondary_done && world_files_equal(world));
}

/* Any message lost, doubled, late, cut, bent: an end in time, no wrong file, and the next one comes through. */
static void every_fault(void **state SH_UNUSED)
{
    struct run once = {.ble_carries = true}, clean = direct_run();
    world_reset(world);
    world_run(world, &once, LIMIT_MS);
    assert_true(once.secondary_done);
    world_run(world, &clean, LIMIT_MS);
    assert_true(clean.secondary_done);
    assert_true(clean.steps > 8);
    for (unsigned step = 0; step < clean.steps; step++) {
        for (int fault = FAULT_LOSE; fault < FAULT_KINDS; fault++) {
            struct run run = direct_run();
            run.fault = (enum fault_kind)fault;
            run.fault_step = step;
            run.seed = step;
            world_run(world, &run, LIMIT_MS);
            if (!run.secondary_over || !run.anchor_over || world_half_files(world))
                fail_msg("step %u %s: over %d %d", step, fault_names[fault], run.secondary_over,
                         run.anchor_over);
            if (!run.secondary_done && run.secondary_cause == SH_OK)
                fail_msg("step %u %s: no cause", step, fault_names[fault]);
        }
    }
    clean = direct_run();
    world_run(world, &clean, LIMIT_MS);
    assert_true(clean.secondary_done && clean.anchor_done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goes_on),
        TEST(addresses_are_kept),
        TEST(who_is_not_wanted),
        TEST(who_demands_nearness),
        TEST(who_shares_nothing),
        TEST(wrong_certificates),
        TEST(the_connection_breaks),
        cmocka_unit_test_setup_teardown(every_fault, set_up_small, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
