/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Channel Sounding over a message bus of the test's own, with a bluetoothd that can do it or cannot. */
#include "fake_bluez.h"

#include "pairing/bluez_sounding.h"
#include "sounding_data.h"

#define DEVICE FAKE_ADAPTER "/dev_4A_00_00_00_00_01"
#define OTHER  FAKE_ADAPTER "/dev_4A_00_00_00_00_02"

/* ---- bluetoothd ---- */

static bool interface_there;
static const char *silent;      /* this method is not answered */
static const char *start_error; /* StartMeasurement is answered with it */
static unsigned asked, begun, ended, unanswered;
static unsigned seconds, role, main_mode, sub_mode;

static void read_start(sd_bus_message *call)
{
    fake_must(sd_bus_message_enter_container(call, 'a', "{sv}"));
    while (sd_bus_message_enter_container(call, 'e', "sv") > 0) {
        const char *key = NULL;
        uint32_t number = 0;
        uint8_t octet = 0;
        fake_must(sd_bus_message_read(call, "s", &key));
        if (strcmp(key, "duration_secs") == 0) {
            fake_must(sd_bus_message_read(call, "v", "u", &number));
            seconds = number;
        } else {
            fake_must(sd_bus_message_read(call, "v", "y", &octet));
            if (strcmp(key, "role") == 0)
                role = octet;
            else if (strcmp(key, "main_mode_type") == 0)
                main_mode = octet;
            else if (strcmp(key, "sub_mode_type") == 0)
                sub_mode = octet;
            else
                fail_msg("%s is no parameter", key);
        }
        fake_must(sd_bus_message_exit_container(call));
    }
}

static void answer_get(sd_bus_message *call)
{
    const char *interface = NULL, *name = NULL;
    asked++;
    fake_must(sd_bus_message_read(call, "ss", &interface, &name));
    assert_string_equal(interface, "org.bluez.ChannelSounding1");
    assert_string_equal(name, "Active");
    if (interface_there)
        fake_must(sd_bus_reply_method_return(call, "v", "b", 0));
    else
        fake_must(sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.InvalidArgs",
                                             "No such interface '%s'", interface));
}

static void answer_start(sd_bus_message *call)
{
    begun++;
    read_start(call);
    if (start_error)
        fake_must(sd_bus_reply_method_errorf(call, start_error, "no"));
    else
        fake_must(sd_bus_reply_method_return(call, ""));
}

static int on_call(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    const char *member = sd_bus_message_get_member(m);
    uint8_t type = 0;
    fake_must(sd_bus_message_get_type(m, &type));
    if (type != SD_BUS_MESSAGE_METHOD_CALL || !member)
        return 0;
    assert_string_equal(sd_bus_message_get_path(m), DEVICE);
    if (strcmp(member, "Ping") == 0)
        fake_must(sd_bus_reply_method_return(m, ""));
    else if (strcmp(member, "StopMeasurement") == 0)
        ended++;
    else if (silent && strcmp(silent, member) == 0)
        unanswered++;
    else if (strcmp(member, "Get") == 0)
        answer_get(m);
    else if (strcmp(member, "StartMeasurement") == 0)
        answer_start(m);
    else
        fail_msg("%s is not asked for here", member);
    sh_bus_kick(fake.bus);
    return 1;
}

static struct sounding_data data;

static void tell_data(struct sh_bus *bus, const char *path, const char *interface, size_t n)
{
    sd_bus_message *m = NULL;
    fake_must(sd_bus_message_new_signal(sh_bus_sd(bus), &m, path, interface, "ProcedureData"));
    fake_must(sd_bus_message_append_array(m, 'y', data.octets, n));
    fake_must(sd_bus_send(sh_bus_sd(bus), m, NULL));
    sd_bus_message_unref(m);
    sh_bus_kick(bus);
}

static void make_data(double metres, uint8_t nadm)
{
    struct synth synth = synth_plain(metres, 1);
    synth.nadm = nadm;
    synth_make(&synth);
    data_of(&data, synth.steps, synth.n);
}

static void tell_active(bool active, const char *interface)
{
    sd_bus_message *m = fake_signal(DEVICE, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(sd_bus_message_append(m, "sa{sv}as", interface, 1, "Active", "b", active, 0));
    fake_send(m);
}

static void tell_added(const char *path, const char *interface)
{
    sd_bus_message *m = fake_signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");
    fake_must(sd_bus_message_append(m, "oa{sa{sv}}", path, 2, "org.bluez.Battery1", 0, interface, 1,
                                    "Active", "b", 0));
    fake_send(m);
}

static void tell_removed(const char *path, const char *interface)
{
    sd_bus_message *m = fake_signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");
    fake_must(sd_bus_message_append(m, "oas", path, 2, "org.bluez.Battery1", interface));
    fake_send(m);
}

/* ---- who wants to know ---- */

static struct sh_bus *client;
static struct sh_bluez_sounding *sounding;
static unsigned distances, nones;
static double last_metres, last_sd;
static struct sh_sounding_estimate last;
static enum sh_cause none_cause;
static char none_detail[256];
static bool free_when_told;

static void drop(void)
{
    sh_bluez_sounding_free(sounding);
    sounding = NULL;
}

static void on_distance(double metres, double sd_m, const struct sh_sounding_estimate *estimate,
                        void *user)
{
    assert_ptr_equal(user, &distances);
    distances++;
    last_metres = metres;
    last_sd = sd_m;
    last = *estimate;
    if (free_when_told)
        drop();
}

static void on_none(enum sh_cause cause, void *user)
{
    assert_ptr_equal(user, &distances);
    nones++;
    none_cause = cause;
    snprintf(none_detail, sizeof(none_detail), "%s", sh_detail());
    if (free_when_told)
        drop();
}

static const struct sh_bluez_sounding_ops ops = {.distance = on_distance, .none = on_none};

static int set_up(void **state SH_UNUSED)
{
    fake_set_up();
    interface_there = true;
    free_when_told = false;
    start_error = silent = NULL;
    unanswered = asked = begun = ended = seconds = role = main_mode = sub_mode = distances = nones =
        0;
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    drop();
    sh_bus_free(client);
    client = NULL;
    fake_tear_down();
    return 0;
}

static void begin(void)
{
    fake_bus_start();
    fake_start();
    fake_must(sd_bus_add_filter(sh_bus_sd(fake.bus), NULL, on_call, NULL));
    assert_int_equal(sh_bus_open(fake_bus.base, fake_lost, NULL, &client), SH_OK);
    assert_int_equal(sh_bluez_sounding_new(client, DEVICE, 12, &ops, &distances, &sounding), SH_OK);
}

static int on_pong(sd_bus_message *answer SH_UNUSED, void *user, sd_bus_error *error SH_UNUSED)
{
    *(bool *)user = true;
    return 1;
}

static void ping(struct sh_bus *bus, const char *whom)
{
    sd_bus_message *m = NULL;
    bool back = false;
    fake_must(sd_bus_message_new_method_call(sh_bus_sd(bus), &m, whom, DEVICE,
                                             "org.freedesktop.DBus.Peer", "Ping"));
    assert_int_equal(sh_bus_call(bus, m, on_pong, &back, 0, NULL), SH_OK);
    sd_bus_message_unref(m);
    FAKE_UNTIL(back);
}

/* Until all that is on its way has come: the bus keeps the order between two that talk. The second time for what the first of it
 * set off. */
static void settle(void)
{
    ping(client, SH_BLUEZ_NAME);
    ping(client, SH_BLUEZ_NAME);
}

static void measures(void)
{
    begin();
    FAKE_UNTIL(begun == 1);
    settle();
    assert_int_equal(nones, 0);
}

/* ---- tests ---- */

static void distance_is_told(void **state SH_UNUSED)
{
    measures();
    assert_int_equal(seconds, 12);
    assert_int_equal(role, 3);
    assert_int_equal(main_mode, 2);
    assert_int_equal(sub_mode, 1);
    make_data(1.3, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    assert_int_equal(last.verdict, SH_SOUNDING_GOOD);
    assert_true(fabs(last_metres - 1.3) < 0.5);
    assert_true(last_metres == last.metres && last_sd == last.sd_m && last_sd > 0.0);
    assert_true(fabs(last.phase_m - 1.3) < 0.03);
    /* Each procedure adds to it. */
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 2);
    assert_int_equal(last.procedures, 2);
    assert_int_equal(ended, 0);
    drop();
    FAKE_UNTIL(ended == 1);
    assert_int_equal(nones, 0);
    assert_int_equal(begun, 1);
}

static void attack_is_told(void **state SH_UNUSED)
{
    measures();
    make_data(0.4, 5);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    assert_int_equal(last.verdict, SH_SOUNDING_ATTACK);
    assert_true(isnan(last_metres) && isnan(last_sd));
}

static void no_interface(void **state SH_UNUSED)
{
    interface_there = false;
    begin();
    FAKE_UNTIL(nones == 1);
    assert_int_equal(none_cause, SH_BLUETOOTH_REFUSED);
    assert_non_null(strstr(none_detail, "No such interface"));
    assert_int_equal(begun, 0);
    /* Others appear, and this one at another device. */
    tell_added(DEVICE, "org.bluez.Input1");
    tell_added(OTHER, SH_BLUEZ_SOUNDING);
    settle();
    assert_int_equal(asked, 1);
    /* This one, late; but it is not usable after all: said once is enough. */
    tell_added(DEVICE, SH_BLUEZ_SOUNDING);
    FAKE_UNTIL(asked == 2);
    settle();
    assert_int_equal(nones, 1);
    /* And then it is. */
    interface_there = true;
    tell_added(DEVICE, SH_BLUEZ_SOUNDING);
    FAKE_UNTIL(begun == 1);
    settle();
    make_data(1.0, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    /* It is there: once more changes nothing. */
    tell_added(DEVICE, SH_BLUEZ_SOUNDING);
    settle();
    assert_int_equal(asked, 3);
    assert_int_equal(nones, 1);
}

static void nothing_to_end(void **state SH_UNUSED)
{
    interface_there = false;
    begin();
    FAKE_UNTIL(nones == 1);
    drop();
    settle();
    assert_int_equal(ended, 0);
}

static void start_is_refused(void **state SH_UNUSED)
{
    start_error = "org.freedesktop.DBus.Error.Failed";
    begin();
    FAKE_UNTIL(nones == 1);
    assert_int_equal(none_cause, SH_BLUETOOTH_REFUSED);
    assert_non_null(strstr(none_detail, "StartMeasurement"));
    drop();
    settle();
    assert_int_equal(ended, 0);
}

/* What somebody else measures is told all the same, and is not ours to end. */
static void runs_already(void **state SH_UNUSED)
{
    start_error = "org.bluez.Error.InProgress";
    measures();
    make_data(0.8, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    drop();
    settle();
    assert_int_equal(ended, 0);
}

static void bad_data_is_passed_over(void **state SH_UNUSED)
{
    measures();
    make_data(1.0, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n - 3);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, 0);
    sd_bus_message *m = fake_signal(DEVICE, SH_BLUEZ_SOUNDING, "ProcedureData");
    fake_must(sd_bus_message_append(m, "s", "not octets"));
    fake_send(m);
    m = fake_signal(DEVICE, SH_BLUEZ_SOUNDING, "ProcedureData");
    fake_send(m);
    settle();
    assert_int_equal(distances, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    assert_int_equal(last.procedures, 1);
}

static void others_do_not_count(void **state SH_UNUSED)
{
    struct sh_bus *stranger = NULL;
    measures();
    make_data(1.0, 0);
    tell_data(fake.bus, OTHER, SH_BLUEZ_SOUNDING, data.n);
    tell_data(fake.bus, DEVICE, "org.bluez.Other1", data.n);
    assert_int_equal(sh_bus_open(fake_bus.base, fake_lost, NULL, &stranger), SH_OK);
    tell_data(stranger, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    ping(stranger, SH_BLUEZ_NAME);
    settle();
    assert_int_equal(distances, 0);
    sh_bus_free(stranger);
}

static void it_ends(void **state SH_UNUSED)
{
    measures();
    tell_active(true, SH_BLUEZ_SOUNDING);
    tell_active(false, "org.bluez.Other1");
    settle();
    assert_int_equal(nones, 0);
    tell_active(false, SH_BLUEZ_SOUNDING);
    FAKE_UNTIL(nones == 1);
    assert_non_null(strstr(none_detail, "over"));
    tell_active(false, SH_BLUEZ_SOUNDING);
    tell_removed(DEVICE, SH_BLUEZ_SOUNDING);
    settle();
    assert_int_equal(nones, 1);
    drop();
    settle();
    assert_int_equal(ended, 0);
}

static void interface_goes(void **state SH_UNUSED)
{
    measures();
    tell_removed(OTHER, SH_BLUEZ_SOUNDING);
    tell_removed(DEVICE, "org.bluez.Input1");
    settle();
    assert_int_equal(nones, 0);
    tell_removed(DEVICE, SH_BLUEZ_SOUNDING);
    FAKE_UNTIL(nones == 1);
    assert_non_null(strstr(none_detail, "gone"));
    tell_added(DEVICE, SH_BLUEZ_SOUNDING);
    FAKE_UNTIL(begun == 2);
}

/* bluetoothd does not answer: the loop goes on, and what comes too late finds nobody. */
static void freed_while_asking(void **state SH_UNUSED)
{
    silent = "Get";
    begin();
    FAKE_UNTIL(unanswered == 1);
    drop();
    settle();
    assert_int_equal(nones, 0);
    assert_int_equal(ended, 0);
}

static void freed_while_starting(void **state SH_UNUSED)
{
    silent = "StartMeasurement";
    begin();
    FAKE_UNTIL(unanswered == 1);
    /* Somebody else's is over just now. */
    tell_active(false, SH_BLUEZ_SOUNDING);
    settle();
    drop();
    FAKE_UNTIL(ended == 1);
    assert_int_equal(nones, 0);
}

static void freed_when_told(void **state SH_UNUSED)
{
    free_when_told = true;
    measures();
    make_data(1.0, 0);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    tell_data(fake.bus, DEVICE, SH_BLUEZ_SOUNDING, data.n);
    FAKE_UNTIL(distances == 1);
    assert_null(sounding);
    FAKE_UNTIL(ended == 1);
    assert_int_equal(distances, 1);
}

static void freed_when_there_is_none(void **state SH_UNUSED)
{
    free_when_told = true;
    interface_there = false;
    begin();
    FAKE_UNTIL(nones == 1);
    assert_null(sounding);
    sh_bluez_sounding_free(NULL);
}

static void path_too_long(void **state SH_UNUSED)
{
    char path[SH_BLUEZ_PATH + 1];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    fake_bus_start();
    assert_int_equal(sh_bus_open(fake_bus.base, fake_lost, NULL, &client), SH_OK);
    assert_int_equal(sh_bluez_sounding_new(client, path, 1, &ops, &distances, &sounding),
                     SH_BLUETOOTH_REFUSED);
    assert_null(sounding);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(distance_is_told),        TEST(attack_is_told),           TEST(no_interface),
        TEST(nothing_to_end),          TEST(start_is_refused),         TEST(runs_already),
        TEST(bad_data_is_passed_over), TEST(others_do_not_count),      TEST(it_ends),
        TEST(interface_goes),          TEST(freed_while_asking),       TEST(freed_while_starting),
        TEST(freed_when_told),         TEST(freed_when_there_is_none), TEST(path_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
