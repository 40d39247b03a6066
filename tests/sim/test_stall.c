/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Stuck at 0 %" must be impossible: from any chunk on everything is swallowed (one way, one stream, all), signal strengths
 * stay away, whoever is dialled never answers. Each side ends in `done` or in a right cause no later than the deadline of the
 * phase in which it is, plus a second, after its last sign of life; and the next clean session succeeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/output.h"
#include "world.h"

#define LATE_MS  1000
#define LIMIT_MS 600000
#define PHASES   (SH_PHASE_LINKED + 1)

/* How long a side may be without a sign of life in each phase: docs/protocol.md, section "Deadlines". */
static const sh_ms deadline_of[2][PHASES] = {
    [SH_ANCHOR] = {[SH_PHASE_CONNECT] = 10000,
                   [SH_PHASE_MEASURE] = 18000,
                   [SH_PHASE_CONFIRM] = 122000,
                   [SH_PHASE_ENROL] = 20000,
                   [SH_PHASE_LINK] = 20000,
                   [SH_PHASE_TRANSFER] = 20000,
                   [SH_PHASE_LINKED] = 12000},
    [SH_SECONDARY] = {[SH_PHASE_CONNECT] = 10000,
                      [SH_PHASE_MEASURE] = 18000,
                      [SH_PHASE_CONFIRM] = 122000,
                      [SH_PHASE_ENROL] = 20000,
                      [SH_PHASE_LINK] = 20000,
                      [SH_PHASE_TRANSFER] = 20000,
                      [SH_PHASE_LINKED] = 10000},
};

struct cell {
    unsigned runs, done;
    sh_ms longest;
};
static struct cell matrix[2][HOLE_KINDS][PHASES];
static unsigned sessions;

/* What silence may be called. Nothing that blames a machine's disk, an installer, or a person who typed rightly. */
static bool is_right(enum sh_cause cause, bool done)
{
    enum sh_category category = sh_cause_info(cause)->category;
    if (cause == SH_OK)
        return done;
    return category == SH_CAT_NO_LINK || cause == SH_NEAR_TIMEOUT || cause == SH_NEAR_NO_SIGNAL ||
           cause == SH_CONFIRM_TIMEOUT || cause == SH_SESSION_PEER_STOPPED;
}

static void fail_run(const struct run *run, const char *what, enum sh_role role)
{
    static const enum sh_role others[2] = {[SH_ANCHOR] = SH_SECONDARY, [SH_SECONDARY] = SH_ANCHOR};
    const enum sh_cause causes[2] = {
        [SH_ANCHOR] = run->anchor_cause, [SH_SECONDARY] = run->secondary_cause};
    fail_msg(
        "%s, hole %s from step %u on: the %s is silent for %u ms in %s, then %s (the other: %s)",
        what, hole_names[run->hole], run->hole_step, role == SH_ANCHOR ? "anchor" : "secondary",
        (unsigned)run->silent[role], sh_phase_name(run->phase[role]),
        sh_cause_info(causes[role])->name, sh_cause_info(causes[others[role]])->name);
}

static void check_side(const struct run *run, const char *what, enum sh_role role)
{
    enum sh_phase phase = run->phase[role];
    bool over = role == SH_ANCHOR ? run->anchor_over : run->secondary_over;
    bool done = role == SH_ANCHOR ? run->anchor_done : run->secondary_done;
    enum sh_cause cause = role == SH_ANCHOR ? run->anchor_cause : run->secondary_cause;
    struct cell *cell = &matrix[role][run->hole][phase];
    cell->runs++;
    cell->done += done;
    cell->longest = SH_MAX(cell->longest, run->silent[role]);
    if (!over || !is_right(cause, done) || run->silent[role] > deadline_of[role][phase] + LATE_MS)
        fail_run(run, what, role);
}

static void check_run(struct world *world, const struct run *run, const char *what)
{
    sessions++;
    check_side(run, what, SH_ANCHOR);
    check_side(run, what, SH_SECONDARY);
    assert_false(world_half_files(world));
    if (run->secondary_done)
        assert_true(world_files_equal(world));
}

struct scenario {
    const char *name;
    bool lan, ble, group, linked;
};

static struct run clean_run(const struct scenario *scenario)
{
    return (struct run){
        .lan = scenario->lan, .ble_carries = scenario->ble, .group = scenario->group};
}

static void expect_clean(struct world *world, const struct scenario *scenario)
{
    struct run run = clean_run(scenario);
    world_run(world, &run, LIMIT_MS);
    if (!run.secondary_done || !run.anchor_done)
        fail_msg("%s: a clean session did not end in done: %s, %s", scenario->name,
                 sh_cause_info(run.anchor_cause)->name, sh_cause_info(run.secondary_cause)->name);
    assert_true(world_files_equal(world));
}

/* Until a hole lies behind the session's end. */
static void run_scenario(const struct scenario *scenario)
{
    static const uint64_t sizes[] = {400000, 0};
    struct world *world = world_new(sizes, SH_COUNT(sizes), true);
    unsigned before = sessions;
    for (unsigned kind = HOLE_NONE + 1; kind < HOLE_KINDS; kind++) {
        struct run run = {.holed = true};
        for (unsigned at = 0; run.holed; at++) {
            world_reset(world);
            if (scenario->linked)
                expect_clean(world, scenario);
            run = clean_run(scenario);
            run.hole = kind;
            run.hole_step = at;
            world_run(world, &run, LIMIT_MS);
            check_run(world, &run, scenario->name);
            expect_clean(world, scenario);
        }
    }
    printf("%s: %u sessions\n", scenario->name, sessions - before);
    world_free(world);
}

static void pair_over_ble(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, ble", .ble = true});
}

static void pair_over_lan_alone(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, lan alone", .lan = true});
}

static void pair_over_both(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, ble and lan", .ble = true, .lan = true});
}

static void pair_over_a_group(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){.name = "pair, ble and a group", .ble = true, .group = true});
}

static void reconnect_over_all(void **state SH_UNUSED)
{
    run_scenario(&(struct scenario){
        .name = "reconnect, all links", .ble = true, .lan = true, .group = true, .linked = true});
}

/* Radios that say nothing. */
static void withheld(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {400000};
    struct world *world = world_new(sizes, SH_COUNT(sizes), true);
    static const struct {
        const char *what;
        struct run run;
        bool done;
    } rows[] = {
        {"the anchor hears no signal strength",
         {.ble_carries = true, .deaf = {true, false}},
         false},
        {"the secondary hears none", {.ble_carries = true, .deaf = {false, true}}, false},
        {"neither does", {.ble_carries = true, .deaf = {true, true}}, false},
        {"nobody types", {.ble_carries = true, .never_type = true}, false},
        {"who is dialled never answers, ble carries",
         {.ble_carries = true, .lan = true, .dial_unanswered = true},
         true},
        {"who is dialled never answers, lan alone", {.lan = true, .dial_unanswered = true}, false},
    };
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        struct run run = rows[i].run;
        world_reset(world);
        world_run(world, &run, LIMIT_MS);
        check_run(world, &run, rows[i].what);
        if (run.secondary_done != rows[i].done)
            fail_msg("%s: %s, %s", rows[i].what, sh_cause_info(run.anchor_cause)->name,
                     sh_cause_info(run.secondary_cause)->name);
        printf("%s: %s, %s after %u ms\n", rows[i].what, sh_cause_info(run.anchor_cause)->name,
               sh_cause_info(run.secondary_cause)->name, (unsigned)run.ended_after);
        expect_clean(world, &(struct scenario){.name = rows[i].what, .ble = true});
    }
    world_free(world);
}

static void print_matrix(void **state SH_UNUSED)
{
    printf("%-10s %-9s %-12s %6s %6s %9s %9s\n", "side", "phase", "hole", "runs", "done",
           "longest s", "deadline");
    for (int role = 0; role < 2; role++) {
        for (int phase = 0; phase < PHASES; phase++) {
            for (int kind = 1; kind < HOLE_KINDS; kind++) {
                const struct cell *cell = &matrix[role][kind][phase];
                if (cell->runs > 0)
                    printf("%-10s %-9s %-12s %6u %6u %9.1f %9.1f\n",
                           role == SH_ANCHOR ? "anchor" : "secondary",
                           sh_phase_name((enum sh_phase)phase), hole_names[kind], cell->runs,
                           cell->done, (double)cell->longest / 1000,
                           (double)deadline_of[role][phase] / 1000);
            }
        }
    }
    printf("%u sessions in all\n", sessions);
    assert_true(sessions >= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_over_ble),      cmocka_unit_test(pair_over_lan_alone),
        cmocka_unit_test(pair_over_both),     cmocka_unit_test(pair_over_a_group),
        cmocka_unit_test(reconnect_over_all), cmocka_unit_test(withheld),
        cmocka_unit_test(print_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
