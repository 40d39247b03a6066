/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What doctor makes of a message bus and of a bluetoothd that a child process plays. */
#include "cli/doctor.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "unit/pairing/fake_bluez.h"
#include "unit/proto/check.h"

static struct sh_doctor doctor;
static pid_t child;

static int setup(void **state SH_UNUSED)
{
    fake_set_up();
    doctor = (struct sh_doctor){.common = {.name = "tablet"}};
    child = 0;
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    sh_doctor_bus_clear(&doctor.bus);
    fake_tear_down();
    return 0;
}

/* bluetoothd, as `fake` says, in a process of its own: doctor waits for answers. */
static void play(void)
{
    int ready[2];
    char octet = 0;
    fake_bus_start();
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fake_bus.base = event_base_new();
        fake_start();
        if (write(ready[1], &octet, 1) != 1)
            _exit(1);
        for (;;)
            fake_turn();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &octet, 1), 1);
    close(ready[0]);
}

/* The finding of the check of that name. */
static struct sh_finding find(const char *name)
{
    const struct sh_check *check = sh_doctor_bluetooth_checks;
    while (check->name && strcmp(check->name, name) != 0)
        check++;
    assert_non_null(check->name);
    sh_detail_clear();
    return check->run(&doctor);
}

#define assert_finding(name, wanted_level, wanted_cause, part)                                     \
    do {                                                                                           \
        struct sh_finding f_ = find(name);                                                         \
        assert_cause(f_.cause, wanted_cause);                                                      \
        assert_int_equal(f_.level, wanted_level);                                                  \
        if (!strstr(f_.text, part))                                                                \
            fail_msg("%s says \"%s\"", name, f_.text);                                             \
    } while (0)

static void test_no_bus(void **state SH_UNUSED)
{
    assert_finding("bus", SH_PROBLEM, SH_ENV_NO_BUS, "No such file");
    assert_int_equal(find("bluetoothd").level, SH_LEVELS); /* the bus has said it */
    assert_int_equal(find("adapter").level, SH_LEVELS);
}

/* Somebody listens there and never says a word: it ends. */
static void test_silent_bus(void **state SH_UNUSED)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake_bus.socket_path);
    sh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_finding("bus", SH_PROBLEM, SH_ENV_NO_BUS, "timed out");
}

static void test_nobody(void **state SH_UNUSED)
{
    fake_bus_start();
    assert_finding("bus", SH_FINE, SH_OK, "");
    assert_finding("bluetoothd", SH_PROBLEM, SH_BLUETOOTH_NO_DAEMON, "org.bluez");
    assert_int_equal(find("adapter").level, SH_LEVELS);
}

static void test_healthy(void **state SH_UNUSED)
{
    play();
    assert_finding("bluetoothd", SH_FINE, SH_OK, "1 adapter");
    assert_finding("adapter", SH_FINE, SH_OK, "hci0 (" FAKE_ADDRESS "): powered");
    assert_finding("advertising", SH_FINE, SH_OK, "5 of 5 slots free");
}

static void test_hangs(void **state SH_UNUSED)
{
    fake.silent = "GetManagedObjects";
    play();
    assert_finding("bus", SH_FINE, SH_OK, "");
    assert_finding("bluetoothd", SH_PROBLEM, SH_BLUETOOTH_REFUSED, "hangs");
    assert_int_equal(find("adapter").level, SH_LEVELS);
}

static void test_denied(void **state SH_UNUSED)
{
    fake.denied = "GetManagedObjects";
    fake.denied_name = "org.freedesktop.DBus.Error.AccessDenied";
    play();
    assert_finding("bluetoothd", SH_PROBLEM, SH_BLUETOOTH_PERMISSION, "lets this user not talk");
}

static void test_nonsense(void **state SH_UNUSED)
{
    fake.random_objects = true;
    play();
    assert_finding("bluetoothd", SH_PROBLEM, SH_BLUETOOTH_REFUSED, "");
}

static void test_old(void **state SH_UNUSED)
{
    fake.old = true;
    play();
    assert_finding("bluetoothd", SH_PROBLEM, SH_BLUETOOTH_DAEMON_OLD, "DuplicateData");
}

static void test_no_adapter(void **state SH_UNUSED)
{
    fake.no_adapter = true;
    play();
    assert_finding("bluetoothd", SH_FINE, SH_OK, "0 adapters");
    assert_finding("adapter", SH_PROBLEM, SH_BLUETOOTH_NO_ADAPTER, "");
    assert_int_equal(find("advertising").level, SH_LEVELS);
}

static void test_another_adapter(void **state SH_UNUSED)
{
    doctor.common.adapter = "hci7";
    play();
    assert_finding("adapter", SH_PROBLEM, SH_BLUETOOTH_NO_ADAPTER, "hci7");
}

static void test_off(void **state SH_UNUSED)
{
    fake.off = true;
    play();
    assert_finding("adapter", SH_PROBLEM, SH_BLUETOOTH_OFF, "hci0");
}

static void test_slots_full(void **state SH_UNUSED)
{
    fake.slots_free = 0;
    play();
    assert_finding("adapter", SH_FINE, SH_OK, "hci0");
    assert_finding("advertising", SH_PROBLEM, SH_BLUETOOTH_SLOTS_FULL, "5 in use; it can sync");
}

static void test_which_links(void **state SH_UNUSED)
{
    assert_true(sh_doctor_wants_wifi(&doctor));
    doctor.common.links = "ble,lan";
    assert_false(sh_doctor_wants_wifi(&doctor));
    doctor.common.links = "ble,wifi-direct";
    assert_true(sh_doctor_wants_wifi(&doctor));
    doctor.common.links = "wifi-directly";
    assert_false(sh_doctor_wants_wifi(&doctor));
    doctor.common.links = NULL;
    doctor.common.wifi = "none";
    assert_false(sh_doctor_wants_wifi(&doctor));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_no_bus),          WITH(test_silent_bus),
        WITH(test_nobody),          WITH(test_healthy),
        WITH(test_hangs),           WITH(test_denied),
        WITH(test_nonsense),        WITH(test_old),
        WITH(test_no_adapter),      WITH(test_off),
        WITH(test_another_adapter), WITH(test_slots_full),
        WITH(test_which_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
