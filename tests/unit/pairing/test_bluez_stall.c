/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bluetooth never hangs: in each operation of the real radio every answer, signal and call that it is to get, from bluetoothd or from the
 * message bus, is swallowed, one after the other, alone and with all that come after it. Each run ends as it should or
 * in a right cause, no later than the operation's deadline (docs/protocol.md, section "Deadlines") plus a second, and the next, clean
 * one succeeds. All of it in one process and over a virtual clock.
 */
#include "bluez_user.h"
#include "fake_broker.h"
#include "sounding_data.h"
#include "sounding_synth.h"
#include "unit/stall_table.h"
#include "unit/virtual_clock.h"

#include "pairing/bluez_radio.h"

#define LATE_MS   1000
#define LIMIT_MS  600000
#define PEER      "4A:00:00:00:00:01"
#define PEER_DEV  "dev_4A_00_00_00_00_01"
#define HABIT_MS  100
#define STEP_MS   3000
#define MEASURE_S 10

/* ---- what bluetoothd does by itself ---- */

static struct event *habits;
static unsigned seen_calls, seen_disconnects, seen_measurements;
static struct sounding_data data;

static void tell_procedure(void)
{
    sd_bus_message *m = fake_signal(FAKE_ADAPTER "/" PEER_DEV, SH_BLUEZ_SOUNDING, "ProcedureData");
    fake_must(sd_bus_message_append_array(m, 'y', data.octets, data.n));
    fake_send(m);
}

static void on_habit(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user SH_UNUSED)
{
    if (!fake.bus)
        return;
    if (fake.started > fake.stopped && fake.knows) {
        fake_rssi(PEER_DEV, -50 - (int)(virtual_now() / HABIT_MS % 2));
    } else if (fake.started > fake.stopped) {
        fake.knows = PEER;
        fake_device(PEER, sh_advert_uuid_text, -50);
    }
    if (calls > seen_calls && !call_hangs)
        fake_connected(PEER_DEV, true);
    if (fake.disconnected > seen_disconnects)
        fake_connected(PEER_DEV, false);
    if (fake.measured > seen_measurements)
        tell_procedure();
    seen_calls = calls;
    seen_disconnects = fake.disconnected;
    seen_measurements = fake.measured;
}

static void bluetoothd_starts(void)
{
    broker.stands_in = true;
    fake_start();
    broker.stands_in = false;
}

/* Whoever was on the bus left it: so did their discovery and advertisements. */
static void bluetoothd_forgets(void)
{
    fake.started = fake.stopped = 0;
    fake.up = 0;
    memset(fake.adverts, 0, sizeof(fake.adverts));
}

/* ---- the operations ---- */

static struct sh_bus *own_bus; /* on which is measured */
static struct sh_bluez_sounding *sounding;
static unsigned distances, nones;
static enum sh_cause none_cause;

static const struct sh_bluez_radio *radio(void)
{
    return (const struct sh_bluez_radio *)ble;
}

static bool is_well(void)
{
    return radio()->trouble.cause == SH_OK;
}

/* One advertisement, of this identity. */
static bool sends(uint8_t id)
{
    for (size_t i = 0; i < SH_COUNT(fake.adverts); i++) {
        if (fake.adverts[i].up)
            return fake.up == 1 && fake.adverts[i].id == id;
    }
    return false;
}

static bool is_on_air(void)
{
    return sends(7) && sh_bluez_advert_is_on(radio()->advert) && is_well();
}

static bool hears_well(void)
{
    return heard > 0 && is_well();
}

static void until(bool (*done)(void))
{
    for (sh_ms end = virtual_now() + LIMIT_MS; !done() && virtual_now() < end;)
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
    if (!done())
        fail_msg("before the operation: %u failed, %s, %s", fails, sh_cause_info(fail_cause)->name,
                 notes);
}

static void nothing(void) {}

static void begin_advertising(void)
{
    open_radio(NULL);
    advertise(7);
}

static void begin_scanning(void)
{
    open_radio(NULL);
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
}

static void on_the_air(void)
{
    begin_advertising();
    until(is_on_air);
}

static void hearing(void)
{
    begin_scanning();
    until(hears_well);
}

static void advertise_other(void)
{
    advertise(8);
}

static bool other_is_on_air(void)
{
    return sends(8) && sh_bluez_advert_is_on(radio()->advert) && is_well();
}

static void can_lower(void)
{
    fake.can_set_power = true;
    on_the_air();
}

/* Two steps, as far apart as they are taken at least. */
static void lower(void)
{
    assert_int_equal(ble->driver->step_ms, STEP_MS);
    assert_int_equal(ble->driver->advertise(ble, payload_of(6), -SH_ADVERT_LOWER_MAX), SH_OK);
    for (sh_ms end = virtual_now() + STEP_MS; virtual_now() < end;)
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
    assert_int_equal(ble->driver->advertise(ble, payload_of(8), -SH_ADVERT_LOWER_MAX / 2), SH_OK);
}

static bool lowered_or_says_so(void)
{
    return other_is_on_air() && !fake.louder;
}

static void scan_beside(void)
{
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
}

static void connect_peer(void)
{
    assert_int_equal(ble->driver->connect(ble, PEER "/random", 0x93, false), SH_OK);
}

static bool is_connected(void)
{
    return streams == 1;
}

static bool sees_connection(void)
{
    struct sh_bluez *objects = sh_bluez_daemon_objects(radio()->daemon);
    return sh_bluez_device_count(objects) == 1 && sh_bluez_device_at(objects, 0)->connected;
}

static void connected_before(void)
{
    hearing();
    fake_connected(PEER_DEV, true);
    until(sees_connection);
}

static void connect_anew(void)
{
    assert_int_equal(ble->driver->connect(ble, PEER "/random", 0x93, true), SH_OK);
}

static void call_nobody(void)
{
    call_hangs = true;
    connect_peer();
}

/* That nobody answered is what there is to tell. */
static bool nobody_answers(void)
{
    return connect_fails == 1 && connect_cause == SH_CONNECT_TIMEOUT;
}

static int visitor = -1;

static void visit(void)
{
    visitor = reach(&listens_at, listens_size);
}

static bool is_visited(void)
{
    return streams == 1 && fake.registered >= 2 && is_on_air();
}

static void both(void)
{
    on_the_air();
    scan_beside();
    until(hears_well);
}

static void stop(void)
{
    ble->driver->advertise_stop(ble);
    assert_int_equal(ble->driver->scan(ble, false), SH_OK);
}

static bool is_stopped(void)
{
    return fake.up == 0 && sh_bluez_scan_idle(radio()->scan) && is_well();
}

static void switched_off(void)
{
    on_the_air();
    fake_power(false);
    while (is_well())
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
}

static void switch_on(void)
{
    fake_power(true);
}

static void killed(void)
{
    both();
    fake_end();
    bluetoothd_forgets();
    while (is_well())
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
    heard = 0;
}

static bool does_both(void)
{
    return is_on_air() && hears_well();
}

static void on_distance(double metres SH_UNUSED, double sd_m SH_UNUSED,
                        const struct sh_sounding_estimate *estimate SH_UNUSED, void *user SH_UNUSED)
{
    distances++;
}

static void on_none(enum sh_cause cause, void *user SH_UNUSED)
{
    nones++;
    none_cause = cause;
}

static void bus_lost(enum sh_cause cause, void *user SH_UNUSED)
{
    on_none(cause, NULL);
}

static void on_a_bus(void)
{
    struct synth synth = synth_plain(1.0, 1);
    synth_make(&synth);
    data_of(&data, synth.steps, synth.n);
    assert_int_equal(sh_bus_open(fake_bus.base, bus_lost, NULL, &own_bus), SH_OK);
    for (sh_ms end = virtual_now() + 100; virtual_now() < end;)
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
}

static void measure(void)
{
    static const struct sh_bluez_sounding_ops sounding_ops = {.distance = on_distance,
                                                              .none = on_none};
    assert_int_equal(sh_bluez_sounding_new(own_bus, FAKE_ADAPTER "/" PEER_DEV, MEASURE_S,
                                           &sounding_ops, NULL, &sounding),
                     SH_OK);
}

static bool is_measured(void)
{
    return distances > 0;
}

static const struct operation {
    const char *name;
    unsigned deadline_ms;
    void (*before)(void); /* with nothing swallowed */
    void (*begin)(void);
    bool (*done)(void);
    enum sh_cause also; /* what it may be called, beside silence */
    bool survives;      /* a single loss, unless it is called so */
} operations[] = {
    {"begin, advertise", SH_BLUEZ_START_MS, nothing, begin_advertising, is_on_air, SH_OK, true},
    {"begin, scan", SH_BLUEZ_SILENT_MS, nothing, begin_scanning, hears_well, SH_OK, true},
    {"advertise other", SH_BLUEZ_SILENT_MS, on_the_air, advertise_other, other_is_on_air, SH_OK,
     true},
    {"lower the power", STEP_MS + SH_BLUEZ_SILENT_MS, can_lower, lower, lowered_or_says_so, SH_OK,
     true},
    {"scan beside", SH_BLUEZ_SILENT_MS, on_the_air, scan_beside, hears_well, SH_OK, true},
    {"connect", SH_BLUEZ_CALL_MS, hearing, connect_peer, is_connected, SH_OK, true},
    {"connect anew", SH_BLUEZ_CALL_MS, connected_before, connect_anew, is_connected, SH_OK, true},
    {"call nobody", SH_BLUEZ_CONNECT_MS, hearing, call_nobody, nobody_answers, SH_OK, true},
    {"listen", SH_BLUEZ_SILENT_MS, on_the_air, visit, is_visited, SH_OK, true},
    {"stop", SH_BLUEZ_STOP_MS, both, stop, is_stopped, SH_OK, true},
    {"adapter back", SH_BLUEZ_SILENT_MS, switched_off, switch_on, is_on_air, SH_BLUETOOTH_OFF,
     true},
    {"daemon back", SH_BLUEZ_SILENT_MS, killed, bluetoothd_starts, does_both,
     SH_BLUETOOTH_NO_DAEMON, true},
    {"measure", MEASURE_S * 1000 + SH_BLUEZ_SOUNDING_MS, on_a_bus, measure, is_measured, SH_OK,
     false},
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
    operation->begin();
    while (!operation->done() && fails + connect_fails + nones == 0 &&
           virtual_now() < from + LIMIT_MS)
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
    struct result result = {.done = operation->done(), .cause = SH_OK, .ms = virtual_now() - from};
    if (!result.done)
        result.cause = fails ? fail_cause : connect_fails ? connect_cause : none_cause;
    return result;
}

static void leave(void)
{
    sh_bluez_sounding_free(sounding);
    sounding = NULL;
    sh_bus_free(own_bus);
    own_bus = NULL;
    drop();
    if (visitor >= 0)
        close(visitor);
    visitor = -1;
    /* Until bluetoothd has given up what it asked. */
    for (sh_ms end = virtual_now() + 2 * SH_BUS_CALL_MS; virtual_now() < end;)
        event_base_loop(fake_bus.base, EVLOOP_ONCE);
    heard = streams = fails = connect_fails = nones = distances = 0;
    fail_cause = connect_cause = none_cause = SH_OK;
    fake.registered = 0;
    call_hangs = false;
    seen_calls = calls;
    seen_measurements = fake.measured;
    notes[0] = '\0';
}

static int listener = -1;

static void world_up(void)
{
    static const struct timeval often = {.tv_usec = HABIT_MS * 1000};
    set_up(NULL);
    listener = bound(&peer_at, &peer_size);
    broker_start();
    broker.left = bluetoothd_forgets;
    bluetoothd_starts();
    habits = event_new(fake_bus.base, -1, EV_PERSIST, on_habit, NULL);
    assert_int_equal(event_add(habits, &often), 0);
    leave();
}

static void world_down(void)
{
    leave();
    fake_end();
    event_free(habits);
    broker_end();
    close(listener);
    fake_bus_tear_down();
}

/* ---- the table ---- */

static struct stall_cell cells[SH_COUNT(operations)][HOLES];
static unsigned runs;

static const char *const hole_names[HOLES] = {"none", "one", "all from it on"};

/* What silence may be called. */
static bool is_right(const struct operation *operation, const struct result *result)
{
    if (!result->done && broker.hole == HOLE_ONE && operation->survives)
        return result->cause != SH_OK && result->cause == operation->also;
    return result->done || result->cause == SH_BLUETOOTH_REFUSED ||
           result->cause == SH_ENV_NO_BUS ||
           (result->cause != SH_OK && result->cause == operation->also);
}

static void check(size_t number, const struct result *result)
{
    const struct operation *operation = &operations[number];
    runs++;
    stall_count(&cells[number][broker.hole], result->done, result->cause, result->ms);
    if (!is_right(operation, result) || result->ms > operation->deadline_ms + LATE_MS)
        fail_msg("%s, swallowed: %s %u, %s: %s%s after %u ms", operation->name,
                 hole_names[broker.hole], broker.at, broker.first, result->done ? "done, " : "",
                 sh_cause_info(result->cause)->name, (unsigned)result->ms);
}

static bool goes_on(void)
{
    return sends(5) && sh_bluez_advert_is_on(radio()->advert) && hears_well();
}

/* The same radio does what it is asked next, if it has not failed; and a new one does it all. */
static void check_clean(size_t number, bool done)
{
    broker_dig(HOLE_NONE, 0);
    if (done && ble) {
        sh_ms from = virtual_now();
        heard = 0;
        assert_int_equal(ble->driver->advertise(ble, payload_of(5), 0), SH_OK);
        assert_int_equal(ble->driver->scan(ble, true), SH_OK);
        until(goes_on);
        assert_true(virtual_now() - from <= SH_BLUEZ_SILENT_MS + LATE_MS);
    }
    leave();
    if (!fake.bus)
        bluetoothd_starts();
    operations[number].before();
    struct result again = run(&operations[number]);
    if (!again.done)
        fail_msg("%s: a clean one ended in %s", operations[number].name,
                 sh_cause_info(again.cause)->name);
}

/* Until a hole lies behind the operation's end. */
static void run_operation(size_t number, enum broker_hole hole)
{
    bool holed = true;
    for (unsigned at = 0; holed; at++) {
        world_up();
        operations[number].before();
        broker_dig(hole, at);
        struct result result = run(&operations[number]);
        holed = broker.swallowed > 0;
        check(number, &result);
        check_clean(number, result.done);
        world_down();
    }
}

static void every_answer(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        run_operation(i, HOLE_ONE);
        run_operation(i, HOLE_REST);
    }
}

static void print_table(void **state SH_UNUSED)
{
    stall_head();
    for (size_t i = 0; i < SH_COUNT(operations); i++) {
        for (size_t hole = HOLE_ONE; hole < HOLES; hole++) {
            stall_row(operations[i].name, hole_names[hole], &cells[i][hole],
                      operations[i].deadline_ms);
        }
    }
    printf("%u runs in all\n", runs);
    assert_true(runs >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(print_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
