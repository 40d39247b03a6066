/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Wi-Fi Direct never hangs: in each operation every answer and event of wpa_supplicant is swallowed, one after the other, alone and with all
 * that come after it. Each run ends as it should or in a right cause, no later than the operation's deadline (docs/protocol.md, section
 * "Deadlines") plus a second, and the next, clean one succeeds. Over a virtual clock; test_wpa_task.c does the same without sockets.
 */
#include "unit/stall_table.h"
#include "unit/virtual_clock.h"

#include "transfer/wpa_child.h"
#include "transfer/wpa_control.h"
#include "unit/transfer/fake_second.h"

#define LATE_MS  1000
#define LEAVE_MS 1000 /* for last words */
#define LIMIT_MS 300000

/* ---- the operations ---- */

static const uint8_t seed[32] = {1, 2, 3};

static struct sh_wpa_control *control;
static bool answered;
static unsigned losts;
static enum sh_cause lost_cause;

static void until_true(bool (*done)(void), const char *what)
{
    for (sh_ms end = virtual_now() + LIMIT_MS; !done() && virtual_now() < end;)
        event_base_loop(base, EVLOOP_ONCE);
    if (!done())
        fail_msg("%s: %u lost (%s), %u failed (%s)", what, losses, sh_cause_info(loss_cause)->name,
                 failed, sh_cause_info(failed_cause)->name);
}

static void nothing(void) {}

static void on_control_event(struct sh_bytes datagram SH_UNUSED, void *user SH_UNUSED) {}

static void on_control_lost(enum sh_cause cause, void *user SH_UNUSED)
{
    losts++;
    lost_cause = cause;
}

static void on_control_answer(struct sh_bytes reply SH_UNUSED, void *user SH_UNUSED)
{
    answered = true;
}

static void probe(void)
{
    static const struct sh_wpa_control_ops control_ops = {.event = on_control_event,
                                                          .lost = on_control_lost};
    char path[96];
    snprintf(path, sizeof(path), "%s/wlan0", wa.dir);
    answered = false;
    assert_ok(sh_wpa_control_open(base, path, false, &control_ops, NULL, &control));
    sh_wpa_control_ask(control, "STATUS", on_control_answer, NULL);
}

static bool is_answered(void)
{
    return answered;
}

static void own(void)
{
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
}

static bool is_offered(void)
{
    return offers > 0;
}

static void join(void)
{
    struct sh_attempt attempt = {.id = 7,
                                 .kind = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT,
                                 .address = {0xfe, 0x80, [15] = 1},
                                 .address_len = 16,
                                 .port = 9};
    attempt.group = (struct sh_wifi_group){.ssid = "DIRECT-ab-TESTTEST",
                                           .ssid_len = strlen("DIRECT-ab-TESTTEST"),
                                           .passphrase = "passphrase",
                                           .bssid = {0x46, 0, 0, 0, 0, 1},
                                           .frequency_mhz = 2412};
    assert_ok(secondary->driver->dial(secondary, &attempt));
}

static bool is_joined(void)
{
    return strstr(((struct sh_wifi *)secondary)->said, "joined on") != NULL;
}

static bool may_take(void *user SH_UNUSED)
{
    return true;
}

static void station_alone(void)
{
    is_station_only = true;
    station_ifindex = if_nametoindex("wlan0");
    ((struct sh_wifi *)secondary)->may_take_station = may_take;
}

static void station_too(void)
{
    station_ifindex = if_nametoindex("wlan0");
    ((struct sh_wifi *)secondary)->may_take_station = may_take;
}

/* A further station is all that the radio has. */
static void second_alone(void)
{
    is_station_only = has_second = true;
}

static void second_first(void)
{
    has_second = true;
    station_too();
}

/* The system's wpa_supplicant says nothing, and so no other way works. */
static void second_only_speaks(void)
{
    second_first();
    wb.mute = true;
}

static void owned(void)
{
    own();
    until_true(is_offered, "own");
}

static void joined(void)
{
    join();
    until_true(is_joined, "join");
}

static void joined_second(void)
{
    second_alone();
    joined();
    assert_int_not_equal(if_nametoindex("hop0"), 0);
}

static void leave(void)
{
    secondary->driver->rest(secondary);
}

static unsigned marks_of(const char *side)
{
    char path[sizeof(run_dir) + 2];
    snprintf(path, sizeof(path), "%s%s", run_dir, side);
    return marks_in(path);
}

static bool has_left(void)
{
    return !sh_wifi_join_runs(((struct sh_wifi *)secondary)->join) && marks_of("b") == 0;
}

static bool has_left_second(void)
{
    return has_left() && if_nametoindex("hop0") == 0;
}

static void unlisten(void)
{
    anchor->driver->unlisten(anchor);
}

static bool is_taken_down(void)
{
    return !((struct sh_wifi *)anchor)->anchor && marks_of("") == 0;
}

/* Three of one that was killed. */
static void left_behind(void)
{
    for (unsigned i = 0; i < 3; i++) {
        struct sh_wifi_mark_text text = {.kind = SH_WPA_OWN, .iface = "p2p-a-0", .ssid_len = 9};
        struct sh_wifi_mark *mark = NULL;
        memcpy(text.ssid, "DIRECT-ab", 9);
        snprintf(text.control, sizeof(text.control), "%s/p2p-dev-wlan0", wa.dir);
        assert_ok(sh_wifi_mark_new(run_dir, &mark));
        assert_ok(sh_wifi_mark_set(mark, &text));
        sh_wifi_mark_leave(mark);
    }
    wa.network = true;
    snprintf(wa.ssid, sizeof(wa.ssid), "4449524543542d6162");
}

#define SILENT_MS (SH_WIFI_ALIVE_MS + SH_WPA_ANSWER_MS)
static sh_ms up_until;

static void on_time(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user SH_UNUSED) {}

static void be_up(void)
{
    static const struct timeval limit = {.tv_sec = (SILENT_MS + LATE_MS) / 1000};
    up_until = virtual_now() + SILENT_MS + LATE_MS;
    assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, on_time, NULL, &limit), 0);
}

static bool is_still_up(void)
{
    return losses == 0 && virtual_now() >= up_until;
}

/* ---- what is asked afterwards ---- */

static void own_again(void)
{
    own(); /* or it tries again by itself */
    until_true(is_offered, "own again");
}

static void join_again(void)
{
    leave();
    run_for(LEAVE_MS);
    ((struct sh_wifi *)secondary)->said[0] = '\0';
    joined();
}

static void all_join_again(void)
{
    wb.mute = false;
    join_again();
}

static void probe_again(void)
{
    sh_wpa_control_free(control);
    probe();
    until_true(is_answered, "probe again");
}

static const struct operation {
    const char *name;
    unsigned deadline_ms;
    struct fake_wpa *wpa;
    void (*before)(void); /* with nothing swallowed */
    void (*begin)(void);
    bool (*done)(void);
    void (*again)(void); /* nor here */
} operations[] = {
    {"status probe", SH_WPA_ANSWER_MS, &wa, nothing, probe, is_answered, probe_again},
    {"own a group", 2 * SH_WPA_OWN_MS, &wa, nothing, own, is_offered, own_again},
    {"join", 2 * SH_WPA_CLIENT_MS, &wb, nothing, join, is_joined, join_again},
    {"join, the station", 2 * SH_WPA_JOIN_MS, &wb, station_alone, join, is_joined, join_again},
    {"join, any way", SH_JOIN_MS, &wb, station_too, join, is_joined, join_again},
    {"join, a second", SH_WPA_CHILD_MS + 2 * SH_WPA_JOIN_MS, &wc, second_alone, join, is_joined,
     join_again},
    {"join, second first", SH_JOIN_MS, &wc, second_first, join, is_joined, join_again},
    {"join, else silent", SH_JOIN_MS, &wc, second_only_speaks, join, is_joined, all_join_again},
    {"leave", LEAVE_MS, &wb, joined, leave, has_left, join_again},
    {"leave, a second", LEAVE_MS, &wc, joined_second, leave, has_left_second, join_again},
    {"end the group", LEAVE_MS, &wa, owned, unlisten, is_taken_down, own_again},
    {"sweep and own", SH_WIFI_SWEEP_MS + 2 * SH_WPA_OWN_MS, &wa, left_behind, own, is_offered,
     own_again},
    {"be up", SILENT_MS, &wa, owned, be_up, is_still_up, own_again},
};

/* ---- a run ---- */

struct result {
    bool done;
    enum sh_cause cause;
    sh_ms ms;
};

static struct result run(const struct operation *operation)
{
    sh_ms from = virtual_now();
    ((struct sh_wifi *)secondary)->said[0] = '\0';
    losses = failed = losts = 0;
    loss_cause = failed_cause = lost_cause = SH_OK;
    operation->begin();
    bool ended = false;
    while (!operation->done() && !ended && virtual_now() < from + LIMIT_MS) {
        event_base_loop(base, EVLOOP_ONCE);
        ended = losts > 0 || failed > 0 || (losses > 0 && loss_cause != SH_OK);
    }
    struct result result = {.done = operation->done(), .ms = virtual_now() - from};
    if (!result.done)
        result.cause = losts ? lost_cause : failed ? failed_cause : loss_cause;
    return result;
}

static struct stall_cell cells[SH_COUNT(operations)][2];
static unsigned runs;

/* What silence may be called. */
static bool is_right(const struct operation *operation, const struct result *result)
{
    if (operation->before == second_first) /* other ways are left */
        return result->done;
    return result->done || result->cause == SH_WIFI_NO_SUPPLICANT ||
           result->cause == SH_WIFI_GROUP_FAILED || result->cause == SH_WIFI_JOIN_TIMEOUT;
}

static void check(size_t number, const struct result *result)
{
    const struct operation *operation = &operations[number];
    const struct fake_hole *hole = &operation->wpa->hole;
    runs++;
    stall_count(&cells[number][hole->rest], result->done, result->cause, result->ms);
    if (!is_right(operation, result) || result->ms > operation->deadline_ms + LATE_MS)
        fail_msg("%s, swallowed: %s %u, %s: %s%s after %u ms", operation->name,
                 hole->rest ? "all from" : "number", hole->at, hole->first,
                 result->done ? "done, " : "", sh_cause_info(result->cause)->name,
                 (unsigned)result->ms);
}

/* Until a hole lies behind the operation's end. */
static void run_operation(size_t number, bool rest)
{
    const struct operation *operation = &operations[number];
    bool holed = true;
    for (unsigned at = 0; holed; at++) {
        pair_up();
        operation->before();
        operation->wpa->hole = (struct fake_hole){.digs = true, .rest = rest, .at = at};
        struct result result = run(operation);
        holed = operation->wpa->hole.swallowed > 0;
        check(number, &result);
        operation->wpa->hole.digs = false;
        operation->again();
        sh_wpa_control_free(control);
        control = NULL;
        fake_free(&wc);
        pair_down();
    }
}

static void every_answer(void **state SH_UNUSED)
{
    need_air();
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
    /* A group's interface is younger than the station's. */
    assert_int_equal(system("ip link add wlan0 type veth peer name w-1 && ip link set wlan0 up && "
                            "ip link set w-1 up"),
                     0);
    air_up();
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        run_operation(i, false);
        run_operation(i, true);
    }
    assert_int_equal(air_down(), 0);
}

static void print_table(void **state SH_UNUSED)
{
    need_air();
    stall_head();
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        for (size_t rest = 0; rest < 2; rest++) {
            stall_row(operations[i].name, rest ? "all from it on" : "one", &cells[i][rest],
                      operations[i].deadline_ms);
        }
    }
    printf("%u runs in all\n", runs);
    assert_true(runs >= 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(print_table),
    };
    return run_pair(tests, SH_COUNT(tests));
}
