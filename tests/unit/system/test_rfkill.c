/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device is a FIFO here: it keeps no boundaries of messages, but the code reads one event at a time. */
#include "system/rfkill.h"

#include <fcntl.h>
#include <linux/rfkill.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/rfkill_table.h"
#include "unit/proto/check.h"

static char folder[64], device[96];
static int writer = -1;

static int setup(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-rfkill.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(device, sizeof(device), "%s/device", folder);
    if (mkfifo(device, 0600) != 0)
        return -1;
    writer = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return writer >= 0 ? 0 : -1;
}

static int teardown(void **state SH_UNUSED)
{
    char command[128];
    if (writer >= 0)
        close(writer);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void name_switch(unsigned index, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/rfkill%u", folder, index);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/rfkill%u/name", folder, index);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sh_write_all(fd, name, strlen(name)), 0);
    close(fd);
}

static void tell(uint32_t index, uint8_t type, uint8_t op, uint8_t soft, uint8_t hard)
{
    struct rfkill_event event = {index, type, op, soft, hard};
    assert_int_equal(write(writer, &event, sizeof(event)), sizeof(event));
}

static struct sh_rfkill states[SH_RFKILL_TYPES];

static void look(void)
{
    sh_rfkill_read_at(device, folder, states);
}

static void test_states(void **state SH_UNUSED)
{
    name_switch(0, "hp-bluetooth\n");
    name_switch(3, "hci0\n");
    tell(0, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    tell(1, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 0, 0);
    tell(2, RFKILL_TYPE_WWAN, RFKILL_OP_ADD, 1, 1);
    tell(3, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    look();
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].switches, 2);
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].soft, 2);
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].hard, 0);
    assert_string_equal(states[SH_RFKILL_BLUETOOTH].blocked, "hp-bluetooth, hci0");
    assert_int_equal(states[SH_RFKILL_WIFI].switches, 1);
    assert_int_equal(states[SH_RFKILL_WIFI].soft, 0);
    assert_string_equal(states[SH_RFKILL_WIFI].blocked, "");
    assert_cause(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL), SH_BLUETOOTH_RFKILL_SOFT);
    assert_string_equal(sh_detail(), "hp-bluetooth, hci0");
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_WIFI, NULL));
}

/* Of several adapters the switch of the one that is meant counts alone. */
static void test_own_switch(void **state SH_UNUSED)
{
    name_switch(0, "hci0\n");
    name_switch(1, "hci10\n");
    name_switch(2, "hci1\n");
    tell(0, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 0, 0);
    tell(1, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    tell(2, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 0, 0);
    look();
    assert_cause(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, "hci10"), SH_BLUETOOTH_RFKILL_SOFT);
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, "hci1"));
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, "hci0"));
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, ""));
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL));
}

/* One way free is enough, and a switch that is blocked twice is one switch. */
static void test_one_is_free(void **state SH_UNUSED)
{
    tell(0, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 1, 1);
    tell(1, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 0, 0);
    look();
    assert_int_equal(states[SH_RFKILL_WIFI].shut, 1);
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_WIFI, NULL));
    tell(0, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 1, 1);
    look();
    assert_cause(sh_rfkill_cause(states, SH_RFKILL_WIFI, NULL), SH_WIFI_RFKILL_HARD);
    assert_string_equal(states[SH_RFKILL_WIFI].blocked, "rfkill0"); /* no name to be found */
}

static void test_each_cause(void **state SH_UNUSED)
{
    static const struct {
        uint8_t type, soft, hard;
        enum sh_rfkill_type kind;
        enum sh_cause cause;
    } table[] = {
        {RFKILL_TYPE_WLAN, 0, 0, SH_RFKILL_WIFI, SH_OK},
        {RFKILL_TYPE_WLAN, 1, 0, SH_RFKILL_WIFI, SH_WIFI_RFKILL_SOFT},
        {RFKILL_TYPE_WLAN, 0, 1, SH_RFKILL_WIFI, SH_WIFI_RFKILL_HARD},
        {RFKILL_TYPE_WLAN, 1, 1, SH_RFKILL_WIFI, SH_WIFI_RFKILL_HARD},
        {RFKILL_TYPE_BLUETOOTH, 0, 0, SH_RFKILL_BLUETOOTH, SH_OK},
        {RFKILL_TYPE_BLUETOOTH, 1, 0, SH_RFKILL_BLUETOOTH, SH_BLUETOOTH_RFKILL_SOFT},
        {RFKILL_TYPE_BLUETOOTH, 0, 1, SH_RFKILL_BLUETOOTH, SH_BLUETOOTH_RFKILL_HARD},
        {RFKILL_TYPE_BLUETOOTH, 1, 1, SH_RFKILL_BLUETOOTH, SH_BLUETOOTH_RFKILL_HARD},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        tell(7, table[i].type, RFKILL_OP_ADD, table[i].soft, table[i].hard);
        look();
        assert_cause(sh_rfkill_cause(states, table[i].kind, NULL), table[i].cause);
        assert_ok(sh_rfkill_cause(
            states, table[i].kind == SH_RFKILL_WIFI ? SH_RFKILL_BLUETOOTH : SH_RFKILL_WIFI, NULL));
    }
}

/* Changes and removals follow; what is unknown, or ends in the middle, changes nothing. */
static void test_odd_events(void **state SH_UNUSED)
{
    tell(0, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 1, 0);
    tell(0, RFKILL_TYPE_WLAN, RFKILL_OP_CHANGE, 0, 0);
    tell(1, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    tell(1, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_DEL, 1, 0);
    tell(2, 0, RFKILL_OP_CHANGE_ALL, 1, 1);
    tell(0, 255, RFKILL_OP_CHANGE, 1, 1);
    tell(0, RFKILL_TYPE_WLAN, 77, 1, 1);
    assert_int_equal(write(writer, "\0\0\0\0\1\2\1", 7), 7);
    look();
    assert_int_equal(states[SH_RFKILL_WIFI].switches, 1);
    assert_int_equal(states[SH_RFKILL_WIFI].shut, 0);
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].switches, 0);
}

static void test_long_event(void **state SH_UNUSED)
{
    static const uint8_t bytes[] = {5, 0, 0, 0, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 0, 1, 3, 9, 9};
    struct sh_rfkill_event event = {0};
    for (size_t n = 0; n < SH_RFKILL_EVENT; n++)
        assert_false(sh_rfkill_event_read(SH_BYTES(bytes, n), &event));
    for (size_t n = SH_RFKILL_EVENT; n <= sizeof(bytes); n++) {
        assert_true(sh_rfkill_event_read(SH_BYTES(bytes, n), &event));
        assert_int_equal(event.type, SH_RFKILL_WIFI);
        assert_true(event.hard && !event.soft);
    }
}

static void test_many_switches(void **state SH_UNUSED)
{
    for (uint32_t i = 0; i < 2 * SH_RFKILL_SWITCHES; i++)
        tell(i, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    look();
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].switches, SH_RFKILL_SWITCHES);
    assert_int_equal(strlen(states[SH_RFKILL_BLUETOOTH].blocked), SH_RFKILL_NAME - 1);
}

static void test_hostile_name(void **state SH_UNUSED)
{
    name_switch(0, "a\033[2Jb c\x7f\xc3\nd");
    name_switch(1, "\n");
    tell(0, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 1, 0);
    tell(1, RFKILL_TYPE_WLAN, RFKILL_OP_ADD, 1, 0);
    look();
    assert_string_equal(states[SH_RFKILL_WIFI].blocked, "a?[2Jb?c??, rfkill1");
}

static void test_no_device(void **state SH_UNUSED)
{
    static const struct sh_rfkill zeros[SH_RFKILL_TYPES];
    memset(states, 0xff, sizeof(states));
    sh_rfkill_read_at("/nowhere/rfkill", folder, states);
    assert_memory_equal(states, zeros, sizeof(zeros));
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_WIFI, NULL));
    assert_ok(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL));
}

/* ---- Watching ---- */

static unsigned changes;
static struct sh_rfkill_watch *watch;
static bool free_it;

static void on_changed(const struct sh_rfkill now[SH_RFKILL_TYPES], void *user)
{
    assert_ptr_equal(user, states);
    changes++;
    memcpy(states, now, sizeof(states));
    if (free_it) {
        sh_rfkill_watch_free(watch);
        watch = NULL;
    }
}

static void turn(struct event_base *base)
{
    for (unsigned i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_watch(void **state SH_UNUSED)
{
    struct event_base *base = event_base_new();
    changes = 0;
    free_it = false;
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 0, 0);
    assert_ok(sh_rfkill_watch_at(base, device, folder, on_changed, states, &watch));
    turn(base);
    assert_int_equal(changes, 1);
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].switches, 1);
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_CHANGE, 0, 0); /* nothing new */
    turn(base);
    assert_int_equal(changes, 1);
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_CHANGE, 1, 0);
    turn(base);
    assert_int_equal(changes, 2);
    assert_cause(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL), SH_BLUETOOTH_RFKILL_SOFT);
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_CHANGE, 1, 1);
    turn(base);
    assert_int_equal(changes, 3);
    assert_cause(sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL), SH_BLUETOOTH_RFKILL_HARD);
    free_it = true;
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_DEL, 1, 0);
    turn(base);
    assert_int_equal(changes, 4);
    assert_int_equal(states[SH_RFKILL_BLUETOOTH].switches, 0);
    assert_null(watch);
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    turn(base);
    assert_int_equal(changes, 4);
    event_base_free(base);
}

/* No such device, a file that cannot be polled, one that ends: a watch that never calls, and a loop that has nothing to do. */
static void test_watch_nothing(void **state SH_UNUSED)
{
    char plain[160];
    snprintf(plain, sizeof(plain), "%s/plain", folder);
    int fd = open(plain, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    const char *const paths[] = {"/nowhere/rfkill", plain, "/dev/null"};
    free_it = false;
    changes = 0;
    for (size_t i = 0; i < SH_COUNT(paths); i++) {
        struct event_base *base = event_base_new();
        assert_ok(sh_rfkill_watch_at(base, paths[i], folder, on_changed, states, &watch));
        assert_int_equal(event_base_dispatch(base), 1); /* 1: no events */
        sh_rfkill_watch_free(watch);
        event_base_free(base);
    }
    assert_int_equal(changes, 0);
    sh_rfkill_watch_free(NULL);
}

/* One that ends later is not looked at again and again. */
static void test_watch_ends(void **state SH_UNUSED)
{
    static const struct timeval moment = {.tv_usec = 200000};
    struct event_base *base = event_base_new();
    free_it = false;
    changes = 0;
    tell(4, RFKILL_TYPE_BLUETOOTH, RFKILL_OP_ADD, 1, 0);
    assert_ok(sh_rfkill_watch_at(base, device, folder, on_changed, states, &watch));
    turn(base);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
    close(writer);
    writer = -1;
    /* It stays readable: who went on reading would keep the loop for ever. */
    assert_int_equal(event_base_loopexit(base, &moment), 0);
    event_base_dispatch(base);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    assert_int_equal(changes, 1);
    sh_rfkill_watch_free(watch);
    event_base_free(base);
}

/* The real one, whatever it has to say here. */
static void test_this_machine(void **state SH_UNUSED)
{
    struct event_base *base = event_base_new();
    sh_rfkill_read(NULL, states);
    for (size_t i = 0; i < SH_RFKILL_TYPES; i++)
        assert_true(states[i].shut <= states[i].switches);
    assert_ok(sh_rfkill_watch_new(base, on_changed, states, &watch));
    turn(base);
    sh_rfkill_watch_free(watch);
    event_base_free(base);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_states),        WITH(test_one_is_free),   WITH(test_each_cause),
        WITH(test_own_switch),    WITH(test_odd_events),    WITH(test_long_event),
        WITH(test_many_switches), WITH(test_hostile_name),  WITH(test_no_device),
        WITH(test_watch),         WITH(test_watch_nothing), WITH(test_watch_ends),
        WITH(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
