/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real radio with a bluetoothd that does what the test says, and sockets of another family. */
#include "fake_bluez.h"

#include "pairing/ble_bluez.h"

/* ---- sockets in place of those of pairing/l2cap_socket.c ---- */

static struct sockaddr_un listens_at, peer_at;
static socklen_t listens_size, peer_size;
static unsigned calls, calls_while_scanning;
static int call_error; /* errno of connecting */
static enum sh_cause supported = SH_OK;

#define PSM 0x91

static int bound(struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_int_equal(bind(fd, (const struct sockaddr *)address, sizeof(sa_family_t)), 0);
    *size = sizeof(*address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(fd, 10), 0);
    return fd;
}

static int reach(const struct sockaddr_un *address, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, size), 0);
    return fd;
}

enum sh_cause sh_l2cap_supported(void)
{
    return supported;
}

enum sh_cause sh_l2cap_socket_listen(const struct sh_bdaddr *own SH_UNUSED, int *ret_fd,
                                     uint8_t *ret_psm)
{
    *ret_fd = bound(&listens_at, &listens_size);
    *ret_psm = PSM;
    return SH_OK;
}

enum sh_cause sh_l2cap_socket_call(const struct sh_bdaddr *own SH_UNUSED,
                                   const struct sh_bdaddr *peer SH_UNUSED, uint8_t psm SH_UNUSED,
                                   int *ret_fd)
{
    calls++;
    calls_while_scanning += fake.started > fake.stopped;
    if (call_error)
        return sh_l2cap_cause(call_error);
    *ret_fd = reach(&peer_at, peer_size);
    return SH_OK;
}

void sh_l2cap_socket_spare(const struct sh_bdaddr *own SH_UNUSED,
                           const struct sh_bdaddr *peer SH_UNUSED, struct sh_l2cap_spares *spares)
{
    spares->n = 1;
}

void sh_l2cap_spares_close(struct sh_l2cap_spares *spares)
{
    spares->n = 0;
}

bool sh_l2cap_link(int fd SH_UNUSED, uint16_t *ret_handle SH_UNUSED,
                   struct sh_bdaddr *ret_peer SH_UNUSED)
{
    return false;
}

/* ---- the radio's user ---- */

static struct sh_ble *ble;
static unsigned heard, streams, connect_fails, fails;
static struct sh_ble_heard last_heard;
static uint8_t last_payload[64];
static struct sh_stream *last_stream;
static enum sh_cause connect_cause, fail_cause;
static char notes[2048], fail_detail[256];
static bool free_when_heard, free_when_noted;

static void drop(void)
{
    if (ble)
        ble->driver->free(ble);
    ble = NULL;
}

static void on_heard(const struct sh_ble_heard *what, void *user SH_UNUSED)
{
    heard++;
    last_heard = *what;
    assert_true(what->payload.n <= sizeof(last_payload));
    memcpy(last_payload, what->payload.p, what->payload.n);
    if (free_when_heard)
        drop();
}

static void on_rx(struct sh_bytes bytes SH_UNUSED, void *user SH_UNUSED) {}

static void on_closed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static void on_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user SH_UNUSED)
{
    static const struct sh_stream_ops stream_ops = {.rx = on_rx, .closed = on_closed};
    streams++;
    last_stream = stream;
    stream->ops = &stream_ops;
}

static void on_connect_failed(enum sh_cause cause, void *user SH_UNUSED)
{
    connect_fails++;
    connect_cause = cause;
}

static void on_failed(enum sh_cause cause, void *user SH_UNUSED)
{
    fails++;
    fail_cause = cause;
    snprintf(fail_detail, sizeof(fail_detail), "%s", sh_detail());
}

static void on_note(const char *text, void *user SH_UNUSED)
{
    size_t n = strlen(notes);
    snprintf(notes + n, sizeof(notes) - n, "%s\n", text);
    if (free_when_noted)
        drop();
}

static const struct sh_ble_ops ops = {.heard = on_heard,
                                      .stream = on_stream,
                                      .connect_failed = on_connect_failed,
                                      .failed = on_failed,
                                      .note = on_note};

static int set_up(void **state SH_UNUSED)
{
    fake_set_up();
    heard = streams = connect_fails = fails = calls = calls_while_scanning = 0;
    call_error = 0;
    supported = SH_OK;
    notes[0] = '\0';
    free_when_heard = free_when_noted = false;
    last_stream = NULL;
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    drop();
    fake_tear_down();
    return 0;
}

static void open_radio(const char *adapter)
{
    assert_int_equal(sh_ble_bluez_new(fake.base, adapter, &ops, NULL, &ble), SH_OK);
}

static struct sh_bytes payload_of(uint8_t seed)
{
    static uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert = {.version = 1, .psm = 0x80, .ref1m_dbm = 127};
    memset(advert.id, seed, sizeof(advert.id));
    return SH_BYTES(payload, sh_advert_encode(&advert, payload));
}

/* A radio that advertises. */
static void advertise(uint8_t seed)
{
    assert_int_equal(ble->driver->advertise(ble, payload_of(seed)), SH_OK);
}

static void all_up(void)
{
    fake_daemon_start();
    fake_start();
    open_radio(NULL);
}

/* ---- advertising ---- */

static void advertises_what_it_is_given(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    static const uint8_t expected[] = {1, PSM, 127, 7, 7, 7, 7, 7, 7, 7};
    assert_int_equal(fake.data_n, sizeof(expected));
    assert_memory_equal(fake.data, expected, sizeof(expected));
    assert_true(fake.discoverable && fake.interval);
    assert_non_null(strstr(notes, "Using Bluetooth adapter hci0 (" FAKE_ADDRESS "): powered, Low "
                                  "Energy, 5 of 5 advertising slots free."));
    int fd = reach(&listens_at, listens_size);
    FAKE_UNTIL(streams == 1);
    close(fd);
    /* A controller may have stopped for the connection: it is told again. */
    FAKE_UNTIL(fake.registered >= 2 && fake.up == 1);
    ble->driver->advertise_stop(ble);
    FAKE_UNTIL(fake.up == 0);
    assert_int_equal(fails, 0);
}

/* The end of a connection leaves Linux advertising for nobody to connect to. */
static void advertises_anew_after_a_connection(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    fake_connected("dev_4A_00_00_00_00_01", true);
    fake_run(500);
    assert_int_equal(fake.registered, 1);
    fake_connected("dev_4A_00_00_00_00_01", false);
    FAKE_UNTIL(fake.registered == 2 && fake.up == 1);
    /* And not for each word about a device that is not connected. */
    fake_connected("dev_4A_00_00_00_00_01", false);
    fake_rssi("dev_4A_00_00_00_00_01", -41);
    fake_run(500);
    assert_int_equal(fake.registered, 2);
}

static void other_data_takes_the_place(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    advertise(7);
    fake_run(50);
    assert_int_equal(fake.registered, 1);
    advertise(8);
    FAKE_UNTIL(fake.registered == 2 && fake.up == 1);
    assert_int_equal(fake.data[3], 8);
    assert_int_equal(fake.data[1], PSM);
}

static void a_smaller_form_where_it_is_refused(void **state SH_UNUSED)
{
    fake.only_plain = true;
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    assert_false(fake.discoverable || fake.interval);
    assert_int_equal(fails, 0);
}

static void slots_that_are_full_are_waited_for(void **state SH_UNUSED)
{
    fake.slots_free = 0;
    all_up();
    advertise(7);
    FAKE_UNTIL(strstr(notes, "slots"));
    assert_int_equal(fake.registered, 0);
    fake_slots(1);
    FAKE_UNTIL(fake.registered == 1);
    FAKE_UNTIL(strstr(notes, "Bluetooth is back."));
    assert_int_equal(fails, 0);
}

/* ---- what is wrong at the start ---- */

static void fails_with(enum sh_cause cause)
{
    FAKE_UNTIL(fails == 1);
    assert_string_equal(sh_cause_info(fail_cause)->name, sh_cause_info(cause)->name);
    fake_run(100);
    assert_int_equal(fails, 1);
}

static void no_bluetoothd(void **state SH_UNUSED)
{
    fake_daemon_start();
    open_radio(NULL);
    advertise(7);
    fails_with(SH_BLUETOOTH_NO_DAEMON);
}

static void no_bus(void **state SH_UNUSED)
{
    assert_int_equal(sh_ble_bluez_new(fake.base, NULL, &ops, NULL, &ble), SH_ENV_NO_BUS);
}

static void no_bluetooth_in_the_kernel(void **state SH_UNUSED)
{
    supported = SH_BLUETOOTH_UNSUPPORTED;
    assert_int_equal(sh_ble_bluez_new(fake.base, NULL, &ops, NULL, &ble), SH_BLUETOOTH_UNSUPPORTED);
}

static void no_adapter(void **state SH_UNUSED)
{
    fake.no_adapter = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_NO_ADAPTER);
}

static void another_adapter_than_is_named(void **state SH_UNUSED)
{
    fake_daemon_start();
    fake_start();
    open_radio("hci7");
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    fails_with(SH_BLUETOOTH_NO_ADAPTER);
    assert_string_equal(fail_detail, "hci7 is not here");
}

static void switched_off(void **state SH_UNUSED)
{
    fake.off = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_OFF);
}

static void refused_to_this_user(void **state SH_UNUSED)
{
    fake.denied = "GetManagedObjects";
    fake.denied_name = "org.freedesktop.DBus.Error.AccessDenied";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_PERMISSION);
}

static void advertising_is_refused_to_this_user(void **state SH_UNUSED)
{
    fake.denied = "RegisterAdvertisement";
    fake.denied_name = "org.freedesktop.DBus.Error.AccessDenied";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_PERMISSION);
}

static void scanning_is_refused(void **state SH_UNUSED)
{
    fake.denied = "StartDiscovery";
    fake.denied_name = "org.bluez.Error.Failed";
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    fails_with(SH_BLUETOOTH_REFUSED);
    assert_non_null(strstr(fail_detail, "StartDiscovery"));
}

static void an_answer_of_another_kind(void **state SH_UNUSED)
{
    fake.random_objects = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_REFUSED);
}

static void an_answer_that_never_comes(void **state SH_UNUSED)
{
    fake.silent = "GetManagedObjects";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_REFUSED);
}

static void hang_while_it_scans(void)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake.hangs = true;
    fake.pinged = 0;
    FAKE_UNTIL(fake.pinged == 1); /* nothing comes: is it alive? */
    FAKE_UNTIL(strstr(notes, "Waiting") != NULL);
}

static void one_that_hangs(void **state SH_UNUSED)
{
    hang_while_it_scans();
    FAKE_UNTIL(fails == 1);
    assert_int_equal(fail_cause, SH_BLUETOOTH_REFUSED);
    fake_goes_on();
}

/* ---- what comes back ---- */

static void one_that_hung_goes_on(void **state SH_UNUSED)
{
    hang_while_it_scans();
    fake_goes_on();
    FAKE_UNTIL(strstr(notes, "Bluetooth is back.") != NULL && fake.started > 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 1);
    assert_int_equal(fails, 0);
}

static void bluetoothd_starts_again(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.registered == 1 && fake.started == 1);
    fake_run(20);
    fake_end();
    FAKE_UNTIL(strstr(notes, "The Bluetooth service does not run."));
    fake_start();
    FAKE_UNTIL(fake.registered == 2 && fake.started == 2);
    FAKE_UNTIL(strstr(notes, "Bluetooth is back."));
    assert_int_equal(fails, 0);
}

static void the_adapter_is_switched_off_and_on(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.registered == 1 && fake.started == 1);
    fake_run(20);
    fake_power(false);
    FAKE_UNTIL(strstr(notes, "switched off"));
    /* The scan is lost with it: what is still said of devices is old. */
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    fake_run(50);
    assert_int_equal(heard, 0);
    fake_power(true);
    FAKE_UNTIL(fake.registered == 2 && fake.started == 2);
    /* It began anew at once, not because nothing was heard for long, for then it would have been stopped first. */
    assert_int_equal(fake.stopped, 0);
    assert_int_equal(fails, 0);
}

static void the_bus_starts_again(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    fake_run(20);
    fake_daemon_stop();
    fake_end();
    unlink(fake.socket_path);
    FAKE_UNTIL(strstr(notes, "message bus"));
    fake_daemon_start();
    fake_start();
    FAKE_UNTIL(fake.registered == 2);
    assert_int_equal(fails, 0);
}

/* ---- scanning ---- */

#define OTHER_UUID "0000fe2c-0000-1000-8000-00805f9b34fb"

static void hears(void **state SH_UNUSED)
{
    struct sh_advert advert;
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    FAKE_UNTIL(heard == 1);
    assert_string_equal(last_heard.address, "4A:00:00:00:00:01/random");
    assert_int_equal(last_heard.rssi_dbm, -50);
    assert_int_equal(sh_advert_decode(SH_BYTES(last_payload, last_heard.payload.n), &advert),
                     SH_OK);
    assert_int_equal(advert.psm, 0x93);
    fake_rssi("dev_4A_00_00_00_00_01", -60);
    FAKE_UNTIL(heard == 2);
    assert_int_equal(last_heard.rssi_dbm, -60);
    fake_device("4A:00:00:00:00:02", OTHER_UUID, -50);
    fake_rssi("dev_4A_00_00_00_00_02", -55);
    fake_device_of(FAKE_ADAPTER "0", "4A:00:00:00:00:03", sh_advert_uuid_text, -50);
    fake_run(50);
    assert_int_equal(heard, 2);
    assert_int_equal(ble->driver->scan(ble, false), SH_OK);
    FAKE_UNTIL(fake.stopped == 1);
    fake_rssi("dev_4A_00_00_00_00_01", -61);
    fake_run(50);
    assert_int_equal(heard, 2);
    /* A level of an earlier scan is none of this one. */
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 2);
    fake_run(20);
    fake_data("dev_4A_00_00_00_00_01");
    fake_run(50);
    assert_int_equal(heard, 2);
    fake_rssi("dev_4A_00_00_00_00_01", -62);
    FAKE_UNTIL(heard == 3);
}

static void may_be_freed_when_it_hears(void **state SH_UNUSED)
{
    all_up();
    free_when_heard = true;
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    FAKE_UNTIL(!ble);
}

static void may_be_freed_when_it_notes(void **state SH_UNUSED)
{
    fake_daemon_start();
    fake_start();
    free_when_noted = true;
    open_radio(NULL);
    advertise(7);
    FAKE_UNTIL(!ble);
    fake_run(50);
    assert_int_equal(fake.up, 0);
}

/* ---- connecting ---- */

static void does_not_scan_while_it_connects(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(calls, 1);
    assert_int_equal(calls_while_scanning, 0);
    FAKE_UNTIL(fake.started == 2); /* it goes on */
    sh_stream_close(last_stream);
    close(listener);
}

/* A bluetoothd that does not answer StopDiscovery does not keep it from connecting. */
static void connects_though_the_scan_does_not_stop(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    fake.silent = "StopDiscovery";
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    close(listener);
}

static void tries_twice_then_says_why(void **state SH_UNUSED)
{
    all_up();
    call_error = EHOSTDOWN;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(connect_fails == 1);
    assert_int_equal(connect_cause, SH_CONNECT_FAILED);
    assert_int_equal(calls, 2);
    call_error = ETIMEDOUT;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(connect_fails == 2);
    assert_int_equal(connect_cause, SH_CONNECT_TIMEOUT);
}

static void what_we_connected_we_end(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    fake_run(20);
    assert_int_equal(fake.disconnected, 0);
    sh_stream_close(last_stream);
    FAKE_UNTIL(fake.disconnected == 1);
    assert_string_equal(fake.disconnected_path, FAKE_ADAPTER "/dev_4A_00_00_00_00_01");
    /* And at our own end, which comes before that of the stream. */
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 2);
    drop();
    FAKE_UNTIL(fake.disconnected == 2);
    close(listener);
}

/* Scans, hears two devices that are connected and calls one of them, anew or not. */
static void call_connected(bool anew)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_device("4A:00:00:00:00:02", sh_advert_uuid_text, -40);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 2);
    fake_connected("dev_4A_00_00_00_00_02", true);
    fake_connected("dev_4A_00_00_00_00_01", true);
    fake_run(50);
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, anew), SH_OK);
}

/* What two kernels disagree about lives as long as the connection below, which others may hold up. */
static void the_second_try_has_a_connection_of_its_own(void **state SH_UNUSED)
{
    call_error = ECONNREFUSED;
    call_connected(false);
    FAKE_UNTIL(calls == 1);
    assert_int_equal(fake.disconnected, 0);
    FAKE_UNTIL(connect_fails == 1);
    assert_int_equal(calls, 2);
    assert_int_equal(fake.disconnected, 1);
    assert_string_equal(fake.disconnected_path, FAKE_ADAPTER "/dev_4A_00_00_00_00_01");
}

/* Somebody else uses it. It is given a moment to go, since it may be one that we ended. */
static void what_was_connected_before_stays(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    call_connected(false);
    fake_run(200);
    assert_int_equal(calls, 0);
    FAKE_UNTIL(streams == 1);
    sh_stream_close(last_stream);
    fake_run(200);
    assert_int_equal(fake.disconnected, 0);
    /* As soon as it has gone. */
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    fake_run(100);
    assert_int_equal(calls, 1);
    fake_connected("dev_4A_00_00_00_00_01", false);
    FAKE_UNTIL(streams == 2);
    sh_stream_close(last_stream);
    FAKE_UNTIL(fake.disconnected == 1);
    close(listener);
}

static void connects_anew(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    call_connected(true);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(fake.disconnected, 1);
    assert_int_equal(calls, 1);
    sh_stream_close(last_stream);
    close(listener);
}

static void nothing_is_ended_that_is_not_there(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, true), SH_OK);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(fake.disconnected, 0);
    sh_stream_close(last_stream);
    close(listener);
}

/* A bluetoothd that does not answer Disconnect does not keep it from connecting; nor does one that refuses. */
static void connects_though_the_connection_does_not_end(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    fake.silent = "Disconnect";
    call_connected(true);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(calls, 1);
    sh_stream_close(last_stream);
    fake.silent = NULL;
    fake.denied = "Disconnect";
    fake.denied_name = "org.bluez.Error.NotConnected";
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, true), SH_OK);
    FAKE_UNTIL(streams == 2);
    assert_int_equal(calls, 2);
    sh_stream_close(last_stream);
    close(listener);
}

static void no_address(void **state SH_UNUSED)
{
    all_up();
    assert_int_equal(ble->driver->connect(ble, "tablet", 0x93, false), SH_CONNECT_FAILED);
    fake_run(20);
    assert_int_equal(connect_fails, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(advertises_what_it_is_given),
        TEST(advertises_anew_after_a_connection),
        TEST(other_data_takes_the_place),
        TEST(a_smaller_form_where_it_is_refused),
        TEST(slots_that_are_full_are_waited_for),
        TEST(no_bluetoothd),
        TEST(no_bus),
        TEST(no_bluetooth_in_the_kernel),
        TEST(no_adapter),
        TEST(another_adapter_than_is_named),
        TEST(switched_off),
        TEST(refused_to_this_user),
        TEST(advertising_is_refused_to_this_user),
        TEST(scanning_is_refused),
        TEST(an_answer_of_another_kind),
        TEST(an_answer_that_never_comes),
        TEST(one_that_hangs),
        TEST(one_that_hung_goes_on),
        TEST(bluetoothd_starts_again),
        TEST(the_adapter_is_switched_off_and_on),
        TEST(the_bus_starts_again),
        TEST(hears),
        TEST(may_be_freed_when_it_hears),
        TEST(may_be_freed_when_it_notes),
        TEST(does_not_scan_while_it_connects),
        TEST(connects_though_the_scan_does_not_stop),
        TEST(tries_twice_then_says_why),
        TEST(the_second_try_has_a_connection_of_its_own),
        TEST(what_we_connected_we_end),
        TEST(what_was_connected_before_stays),
        TEST(connects_anew),
        TEST(nothing_is_ended_that_is_not_there),
        TEST(connects_though_the_connection_does_not_end),
        TEST(no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
