/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Measuring never hangs: each answer to Read RSSI and to the kernel's management interface is swallowed in turn, comes late, for another
 * connection, as an error, or the socket ends or takes nothing more; one alone, all of the controller from there on, or
 * all of both. Two handshakes measure by what is left. Each run ends in "both are near", or in the right cause for both
 * no later than its deadline (docs/protocol.md, section "Deadlines") plus a second, and the next, clean one succeeds. Over a virtual
 * clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/virtual_clock.h"

#include <math.h>
#include <poll.h>

#include "fake_hci.h"
#include "unit/stall_table.h"

#include "pairing/handshake.h"
#include "pairing/hci_probe.h"
#include "pairing/mgmt_info.h"
#include "pairing/rssi.h"

#define LATE_MS    1000
#define MEASURE_MS 10000
#define PROBE_MS   2000
#define LIMIT_MS   60000
#define TURNS_MAX  100000

/* Who waits for one descriptor, outside the loop. */
int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    static const struct timespec none = {.tv_sec = 0};
    if (timeout_ms < 0)
        fail_msg("somebody waits for ever");
    sh_ms end = virtual_now() + (sh_ms)timeout_ms;
    long ready = 0;
    do {
        event_base_loop(fake.base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* takes a millisecond */
        ready = syscall(SYS_ppoll, fds, n, &none, NULL, 0);
    } while (ready == 0 && virtual_now() < end);
    return (int)ready;
}

/* ---- two that measure ---- */

static struct side {
    uint16_t index; /* of its controller */
    struct sh_rssi *rssi;
    struct sh_handshake *handshake;
    uint8_t said[4096];
    size_t said_n;
    unsigned samples;
    bool done, failed;
    enum sh_cause cause;
} sides[2] = {{.index = 0}, {.index = 1}};

static const struct sh_bdaddr peers[2] = {{{{1, 2, 3, 4, 5, 6}}, BDADDR_LE_RANDOM},
                                          {{{6, 5, 4, 3, 2, 1}}, BDADDR_LE_PUBLIC}};

static void hs_tx(struct sh_bytes frame, void *user)
{
    struct side *side = user;
    assert_true(side->said_n + frame.n <= sizeof(side->said));
    memcpy(side->said + side->said_n, frame.p, frame.n);
    side->said_n += frame.n;
}

static void hs_phase(enum sh_handshake_phase now SH_UNUSED, const char *peer SH_UNUSED,
                     void *user SH_UNUSED)
{
}

#define HANDLE 0x40

static void hs_sample(bool on, void *user)
{
    struct side *side = user;
    if (on)
        sh_rssi_add(side->rssi, (uint16_t)(HANDLE + 2 * side->index), &peers[side->index]);
    else
        sh_rssi_remove(side->rssi, (uint16_t)(HANDLE + 2 * side->index));
}

static void hs_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         bool final SH_UNUSED, void *user SH_UNUSED)
{
}

static enum sh_cause hs_gate(uint32_t *ret_wait_s SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}

static enum sh_cause hs_fine(void *user SH_UNUSED)
{
    return SH_OK;
}

static void hs_show_code(const struct sh_code *code SH_UNUSED, void *user SH_UNUSED) {}

static void hs_want_code(unsigned run SH_UNUSED, void *user SH_UNUSED) {}

static void hs_done(const struct sh_handshake_result *result SH_UNUSED, void *user)
{
    ((struct side *)user)->done = true;
}

static void hs_failed(enum sh_cause cause, void *user)
{
    struct side *side = user;
    side->failed = true;
    side->cause = cause;
}

static const struct sh_handshake_ops hs_ops = {.tx = hs_tx,
                                               .phase = hs_phase,
                                               .sample = hs_sample,
                                               .proximity = hs_proximity,
                                               .gate = hs_gate,
                                               .charge = hs_fine,
                                               .confirmed = hs_fine,
                                               .show_code = hs_show_code,
                                               .want_code = hs_want_code,
                                               .done = hs_done,
                                               .failed = hs_failed};

static void on_sample(uint16_t handle, int dbm, void *user)
{
    struct side *side = user;
    if (handle != HANDLE + 2 * side->index)
        return; /* of somebody else, who is sampled beside */
    side->samples++;
    assert_int_equal(dbm, -45);
    sh_handshake_rssi(side->handshake, dbm, virtual_now());
}

static void hang_up(void)
{
    for (size_t i = 0; i < SH_COUNT(sides); i++) {
        sh_handshake_free(sides[i].handshake);
        sides[i].handshake = NULL;
        sides[i].said_n = 0;
        sides[i].samples = 0;
        sides[i].done = sides[i].failed = false;
    }
}

static void measure(void)
{
    struct sh_handshake_config config = {.name = "device",
                                         .reconnect = true,
                                         .level = sh_level_best(NAN, NAN),
                                         .links = {1},
                                         .link_count = 1};
    hang_up();
    for (size_t i = 0; i < SH_COUNT(sides); i++) {
        config.role = i == 0 ? SH_ANCHOR : SH_SECONDARY;
        config.reconnect = i == 1;
        assert_int_equal(
            sh_handshake_new(&config, &hs_ops, &sides[i], virtual_now(), &sides[i].handshake),
            SH_OK);
    }
}

static void hear(struct side *from, struct side *to)
{
    uint8_t said[sizeof(from->said)];
    size_t n = from->said_n, used = 0;
    memcpy(said, from->said, n);
    from->said_n = 0;
    if (n > 0)
        sh_handshake_rx(to->handshake, SH_BYTES(said, n), virtual_now(), &used);
}

static void turn(void)
{
    event_base_loop(fake.base, EVLOOP_ONCE);
    for (size_t i = 0; i < SH_COUNT(sides) && sides[0].handshake; i++) {
        hear(&sides[i], &sides[!i]);
        (void)sh_handshake_tick(sides[i].handshake, virtual_now());
    }
}

/* ---- the operations ---- */

struct result {
    bool over, done;
    enum sh_cause cause;
};

static struct result see_measured(void)
{
    struct result result = {.over = true, .done = sides[0].done && sides[1].done};
    for (size_t i = 0; i < SH_COUNT(sides); i++)
        result.over = result.over && (sides[i].done || sides[i].failed);
    result.cause = sides[fake.index].cause;
    return result;
}

static void nothing(void) {}

static void no_raw(void)
{
    fake.no_raw = true;
}

/* Somebody else is sampled all the time. */
static void beside(void)
{
    for (size_t i = 0; i < SH_COUNT(sides); i++)
        sh_rssi_add(sides[i].rssi, 0x90, &peers[0]);
}

static struct sh_mgmt_info *info;
static unsigned tolds;

static void on_told(uint32_t settings, void *user SH_UNUSED)
{
    tolds++;
    assert_int_equal(settings, FAKE_SETTINGS);
}

static void ask_settings(void)
{
    sh_mgmt_info_free(info);
    info = NULL;
    tolds = 0;
    assert_int_equal(sh_mgmt_info_new(fake.base, 0, on_told, NULL, &info), SH_OK);
}

/* Nobody listens any more. */
static struct result see_told(void)
{
    return (struct result){.over = fake_open_ends(HCI_CHANNEL_CONTROL) == 0, .done = tolds == 1};
}

static enum sh_cause probed;

static void probe_rssi(void)
{
    probed = sh_hci_probe_rssi(0, PROBE_MS);
}

static void probe_settings(void)
{
    uint32_t settings = 0;
    probed = sh_hci_probe_settings(0, PROBE_MS, &settings);
    assert_int_equal(settings, probed == SH_OK ? FAKE_SETTINGS : 0);
}

static struct result see_probed(void)
{
    return (struct result){.over = true, .done = probed == SH_OK, .cause = probed};
}

/* What may come of it when all is lost: no signal, or too little of it. */
static bool measured_right(const struct result *result)
{
    enum sh_cause right = sides[fake.index].samples == 0 ? SH_NEAR_NO_SIGNAL : SH_NEAR_TIMEOUT;
    return result->done || (fake.hole == FAKE_REST && sides[0].cause == right &&
                            sides[1].cause == right && fake.trick != FAKE_LATE_700);
}

static bool told_right(const struct result *result)
{
    bool harmless = fake.trick == FAKE_LATE_700 || fake.trick == FAKE_NO_LEVEL;
    return result->done == (fake.played == 0 || harmless);
}

static bool rssi_right(const struct result *result)
{
    return result->done || (fake.played > 0 && result->cause == SH_NEAR_NO_SIGNAL);
}

static bool settings_right(const struct result *result)
{
    return result->done || (fake.played > 0 && (result->cause == SH_ENV_RADIO_FAILED ||
                                                result->cause == SH_BLUETOOTH_NO_ADAPTER));
}

static const struct operation {
    const char *name;
    uint16_t index; /* where tricks are played */
    unsigned deadline_ms;
    void (*before)(void);
    void (*begin)(void);
    struct result (*see)(void);
    bool (*right)(const struct result *result);
} operations[] = {
    {"measure, anchor", 0, MEASURE_MS, nothing, measure, see_measured, measured_right},
    {"measure, secondary", 1, MEASURE_MS, nothing, measure, see_measured, measured_right},
    {"measure, no HCI", 0, MEASURE_MS, no_raw, measure, see_measured, measured_right},
    {"measure beside", 0, MEASURE_MS, beside, measure, see_measured, measured_right},
    {"ask for privacy", 0, SH_MGMT_INFO_MS, nothing, ask_settings, see_told, told_right},
    {"doctor, signal", 0, PROBE_MS, nothing, probe_rssi, see_probed, rssi_right},
    {"doctor, privacy", 0, PROBE_MS, nothing, probe_settings, see_probed, settings_right},
};

/* ---- a run ---- */

static const char *const trick_names[FAKE_TRICKS] = {
    "swallowed", "0.7 s late", "2.5 s late", "of another", "failed", "failed, bare", "gone",
    "refused",   "no level",   "cut",        "closed",     "reset",  "full",         "flooded"};
static const char *const hole_names[FAKE_HOLES] = {"none", "one", "all of HCI", "all from it on"};

static struct stall_cell cells[SH_COUNT(operations)][FAKE_HOLES];
static unsigned runs;

static struct result run(const struct operation *operation, sh_ms *ret_ms)
{
    sh_ms from = virtual_now();
    operation->begin();
    struct result result = operation->see();
    for (unsigned turns = 0; !result.over && virtual_now() < from + LIMIT_MS; turns++) {
        turn();
        if (turns == TURNS_MAX)
            fail_msg("%s: goes round and round", operation->name);
        result = operation->see();
    }
    *ret_ms = virtual_now() - from;
    return result;
}

static void check(size_t number, const struct result *result, sh_ms ms)
{
    const struct operation *operation = &operations[number];
    runs++;
    stall_count(&cells[number][fake.hole], result->done, result->done ? SH_OK : result->cause, ms);
    if (!result->over || !operation->right(result) || ms > operation->deadline_ms + LATE_MS)
        fail_msg("%s, %s: %s %u: %s%s after %u ms, %u samples", operation->name,
                 trick_names[fake.trick], hole_names[fake.hole], fake.at,
                 result->done ? "done, " : "", sh_cause_info(result->cause)->name, (unsigned)ms,
                 sides[fake.index].samples);
}

/* When all is over nobody is busy: time passes. */
static void check_idle(size_t number)
{
    sh_ms from = virtual_now();
    for (unsigned turns = 0; turns < 40; turns++)
        turn();
    if (virtual_now() < from + 100)
        fail_msg("%s, %s: %s %u: somebody is busy", operations[number].name,
                 trick_names[fake.trick], hole_names[fake.hole], fake.at);
}

static void check_clean(size_t number)
{
    sh_ms ms = 0;
    fake_dig(FAKE_NONE, operations[number].index, 0);
    struct result again = run(&operations[number], &ms);
    if (!again.done)
        fail_msg("%s, %s: %s: a clean one ended in %s", operations[number].name,
                 trick_names[fake.trick], hole_names[fake.hole], sh_cause_info(again.cause)->name);
}

static void world_up(void)
{
    fake_up();
    for (size_t i = 0; i < SH_COUNT(sides); i++)
        assert_int_equal(
            sh_rssi_new(fake.base, sides[i].index, on_sample, &sides[i], &sides[i].rssi), SH_OK);
}

static void world_down(void)
{
    hang_up();
    sh_mgmt_info_free(info);
    info = NULL;
    for (size_t i = 0; i < SH_COUNT(sides); i++)
        sh_rssi_free(sides[i].rssi);
    fake_down();
}

/* Until a hole lies behind the operation's end; silence at each answer, the other tricks at every fifth. */
static void run_operation(size_t number, enum fake_trick trick, enum fake_hole hole)
{
    bool holed = true;
    for (unsigned at = 0; holed; at += trick == FAKE_SWALLOWS ? 1 : 5) {
        sh_ms ms = 0;
        world_up();
        operations[number].before();
        fake.trick = trick;
        fake_dig(hole, operations[number].index, at);
        struct result result = run(&operations[number], &ms);
        holed = fake.played > 0;
        check(number, &result, ms);
        check_idle(number);
        check_clean(number);
        world_down();
    }
}

static void every_answer(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        for (int trick = 0; trick < FAKE_TRICKS; trick++) {
            for (int hole = FAKE_ONE; hole < FAKE_HOLES; hole++)
                run_operation(i, (enum fake_trick)trick, (enum fake_hole)hole);
        }
    }
}

static void print_table(void **state SH_UNUSED)
{
    stall_head();
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        for (size_t hole = FAKE_ONE; hole < FAKE_HOLES; hole++)
            stall_row(operations[i].name, hole_names[hole], &cells[i][hole],
                      operations[i].deadline_ms);
    }
    printf("%u runs in all\n", runs);
    assert_true(runs >= 1000);
}

/* ---- connections that follow each other ---- */

static void run_for(unsigned ms)
{
    for (sh_ms end = virtual_now() + ms; virtual_now() < end;)
        turn();
}

static unsigned sampled[2]; /* HANDLE, any other */

static void on_any_sample(uint16_t handle, int dbm SH_UNUSED, void *user SH_UNUSED)
{
    sampled[handle != HANDLE]++;
}

static struct sh_rssi *alone(void)
{
    struct sh_rssi *rssi = NULL;
    fake_up();
    memset(sampled, 0, sizeof(sampled));
    assert_int_equal(sh_rssi_new(fake.base, 0, on_any_sample, NULL, &rssi), SH_OK);
    return rssi;
}

/* The controller uses a number again, and its last word of the former connection comes only then. */
static void a_number_is_used_again(void **state SH_UNUSED)
{
    static const uint8_t gone[] = {0x04,   0x0e, 7, 1, 0x05, 0x14, SH_HCI_UNKNOWN_CONNECTION,
                                   HANDLE, 0,    0};
    struct sh_rssi *rssi = alone();
    sh_rssi_add(rssi, 0x90, &peers[1]);
    sh_rssi_add(rssi, HANDLE, &peers[0]);
    run_for(100);
    sh_rssi_remove(rssi, HANDLE);
    sh_rssi_add(rssi, HANDLE, &peers[1]);
    fake_send(&fake.ends[0], gone, sizeof(gone));
    run_for(100);
    sampled[0] = 0;
    run_for(1000);
    assert_true(sampled[0] >= 20);
    sh_rssi_free(rssi);
    fake_down();
}

/* Its former connection was not taken away yet: it is asked for by the new one's address. */
static void a_number_has_another_peer(void **state SH_UNUSED)
{
    struct sh_rssi *rssi = alone();
    fake.no_raw = true;
    sh_rssi_add(rssi, HANDLE, &peers[0]);
    run_for(100);
    sh_rssi_add(rssi, HANDLE, &peers[1]);
    run_for(1500);
    assert_memory_equal(fake.last + 6, peers[1].octets.b, 6);
    assert_int_equal(fake.last[12], peers[1].type);
    sh_rssi_free(rssi);
    fake_down();
}

/* One connection of which the controller says nothing does not take its fast values from the others. */
static void one_that_is_not_heard(void **state SH_UNUSED)
{
    struct sh_rssi *rssi = alone();
    fake.silent_handle = HANDLE;
    sh_rssi_add(rssi, HANDLE, &peers[0]);
    sh_rssi_add(rssi, 0x90, &peers[1]);
    run_for(10000);
    assert_int_equal(sampled[0], 0);
    assert_true(sampled[1] >= 300);
    sh_rssi_free(rssi);
    fake_down();
}

/* Where nothing answers it is tried again, with rests: neither the loop nor the controller is kept busy. */
static void tries_again_with_rests(void **state SH_UNUSED)
{
    struct sh_rssi *rssi = alone();
    fake.trick = FAKE_REFUSES;
    fake_dig(FAKE_REST, 0, 0);
    sh_rssi_add(rssi, HANDLE, &peers[0]);
    unsigned turns = 0;
    for (sh_ms end = virtual_now() + 10000; virtual_now() < end; turns++)
        turn();
    assert_true(fake.asked >= 10 && fake.asked <= 30);
    assert_true(turns < 2000);
    fake_dig(FAKE_NONE, 0, 0);
    run_for(2000);
    assert_true(sampled[0] >= 20);
    sh_rssi_remove(rssi, HANDLE);
    run_for(100);
    assert_int_equal(fake_open_ends(HCI_CHANNEL_RAW) + fake_open_ends(HCI_CHANNEL_CONTROL), 0);
    sh_rssi_free(rssi);
    fake_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_used_again), cmocka_unit_test(a_number_has_another_peer),
        cmocka_unit_test(one_that_is_not_heard),  cmocka_unit_test(tries_again_with_rests),
        cmocka_unit_test(every_answer),           cmocka_unit_test(print_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
