/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every message lost, doubled, delayed, cut, bent, at every step, in every kind of session: each run ends in `done` or in
 * a right cause within its deadlines, nothing half-finished is left, and the next clean session between the same two
 * devices succeeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "world.h"

/* Greeting 10 s, measuring 5 + 5 s, code 122 s, enrolment 10 s, no link 20 s, receipt 10 s. */
#define LONGEST_MS 185000

static unsigned sessions;

/* What a broken way between two honest devices may be called. */
static bool is_right(enum fault_kind fault, enum sh_cause cause, bool done)
{
    enum sh_category category = sh_cause_info(cause)->category;
    if (cause == SH_OK)
        return done;
    if (fault == FAULT_NONE)
        return false;
    /* Never a fault of the machine, of the person, of an installer; never "not near" but for a missed measurement. */
    if (category == SH_CAT_NOT_NEAR)
        return cause == SH_NEAR_TIMEOUT || (fault == FAULT_BEND && (cause == SH_NEAR_PEER_TOO_FAR ||
                                                                    cause == SH_NEAR_NO_ANCHOR));
    if (category == SH_CAT_REFUSED || category == SH_CAT_DATA)
        return fault != FAULT_DELAY;
    return category == SH_CAT_NO_LINK || cause == SH_SESSION_PEER_STOPPED ||
           (fault == FAULT_BEND && category == SH_CAT_NOT_LINKED);
}

static void check_run(struct world *world, const struct run *run, const char *what)
{
    bool good = run->anchor_over && run->secondary_over && run->ended_after <= LONGEST_MS &&
                is_right(run->fault, run->anchor_cause, run->anchor_done) &&
                is_right(run->fault, run->secondary_cause, run->secondary_done) &&
                !world_half_files(world) && (!run->secondary_done || world_files_equal(world));
    sessions++;
    if (good)
        return;
    fail_msg("%s, %s at step %u, seed %u: anchor %s %s, secondary %s %s, after %u ms", what,
             fault_names[run->fault], run->fault_step, (unsigned)run->seed,
             run->anchor_over ? "over" : "HANGS", sh_cause_info(run->anchor_cause)->name,
             run->secondary_over ? "over" : "HANGS", sh_cause_info(run->secondary_cause)->name,
             (unsigned)run->ended_after);
}

/* The shape of a session; each fault is put on each of its steps. */
struct scenario {
    const char *name;
    bool lan, ble, linked;
    unsigned wrong_codes;
    unsigned seeds; /* for bends */
};

static struct run clean_run(const struct scenario *scenario)
{
    return (struct run){.lan = scenario->lan, .ble_carries = scenario->ble};
}

static void expect_clean(struct world *world, const struct scenario *scenario, const char *what)
{
    struct run run = clean_run(scenario);
    world_run(world, &run, LONGEST_MS + 10000);
    check_run(world, &run, what);
    if (!run.secondary_done || !run.anchor_done)
        fail_msg("%s: the clean session after it did not end in done: %s, %s", what,
                 sh_cause_info(run.anchor_cause)->name, sh_cause_info(run.secondary_cause)->name);
    assert_true(world_files_equal(world));
}

static unsigned count_steps(struct world *world, const struct scenario *scenario)
{
    struct run run = clean_run(scenario);
    world_reset(world);
    if (scenario->linked)
        expect_clean(world, scenario, "link first");
    run.wrong_codes = scenario->wrong_codes;
    world_run(world, &run, LONGEST_MS);
    check_run(world, &run, scenario->name);
    assert_true(run.secondary_done);
    return run.steps;
}

static void try_fault(struct world *world, const struct scenario *scenario, enum fault_kind fault,
                      unsigned at, uint64_t seed)
{
    struct run run = clean_run(scenario);
    world_reset(world);
    if (scenario->linked)
        expect_clean(world, scenario, "link first");
    run.wrong_codes = scenario->wrong_codes;
    run.fault = fault;
    run.fault_step = at;
    run.seed = seed;
    world_run(world, &run, LONGEST_MS + 10000);
    check_run(world, &run, scenario->name);
    expect_clean(world, scenario, scenario->name);
}

static void run_scenario(const struct scenario *scenario)
{
    static const uint64_t sizes[] = {200000, 0};
    struct world *world = world_new(sizes, SH_COUNT(sizes), true);
    unsigned before = sessions, steps = count_steps(world, scenario);
    for (unsigned fault = FAULT_NONE + 1; fault < FAULT_KINDS; fault++) {
        unsigned seeds = fault == FAULT_BEND ? scenario->seeds : 1;
        for (unsigned at = 0; at < steps; at++) {
            for (unsigned seed = 0; seed < seeds; seed++)
                try_fault(world, scenario, fault, at, seed * 7919 + at);
        }
    }
    printf("%s: %u steps, %u sessions\n", scenario->name, steps, sessions - before);
    world_free(world);
}

static void pair_over_ble(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, ble", .ble = true, .seeds = 12});
}

static void pair_over_both(void **state SH_UNUSED)
{
    run_scenario(
        &(struct scenario){.name = "pair, ble and lan", .ble = true, .lan = true, .seeds = 8});
}

static void pair_over_lan_alone(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, lan alone", .lan = true, .seeds = 4});
}

static void pair_after_wrong_code(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){
        .name = "pair after a wrong code, ble", .ble = true, .wrong_codes = 1, .seeds = 4});
}

static void reconnect_over_both(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){
        .name = "reconnect, ble and lan", .ble = true, .lan = true, .linked = true, .seeds = 4});
}

static void enough(void **state SH_UNUSED)
{
    printf("%u sessions in all\n", sessions);
    assert_true(sessions >= 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_over_ble),       cmocka_unit_test(pair_over_both),
        cmocka_unit_test(pair_over_lan_alone), cmocka_unit_test(pair_after_wrong_code),
        cmocka_unit_test(reconnect_over_both), cmocka_unit_test(enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
