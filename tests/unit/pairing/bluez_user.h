/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real radio and who uses it, with the bluetoothd of fake_bluez.h and sockets of another family. */
#ifndef SIMHOP_TESTS_BLUEZ_USER_H
#define SIMHOP_TESTS_BLUEZ_USER_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fake_bluez.h"

#include "pairing/ble_bluez.h"
#include "pairing/l2cap.h"
#include "pairing/l2cap_socket.h"
#include "system/clock.h"

/* ---- sockets in place of those of pairing/l2cap_socket.c ---- */

static struct sockaddr_un listens_at, peer_at;
static socklen_t listens_size, peer_size;
static unsigned calls, calls_while_scanning;
static int call_error;  /* errno of connecting */
static bool call_hangs; /* nobody answers it */
static sh_ms called_at;
static int others[4]; /* the other ends of those that hang; kept open */
static size_t others_n;
static enum sh_cause supported = SH_OK;

#define PSM 0x91

static inline int bound(struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_int_equal(bind(fd, (const struct sockaddr *)address, sizeof(sa_family_t)), 0);
    *size = sizeof(*address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(fd, 10), 0);
    return fd;
}

static inline int reach(const struct sockaddr_un *address, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, size), 0);
    return fd;
}

static inline int never_writable(void)
{
    int fds[2];
    const int small = 1;
    uint8_t octet = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (send(fds[0], &octet, 1, MSG_DONTWAIT) > 0) {
    }
    others[others_n++ % SH_COUNT(others)] = fds[1];
    return fds[0];
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
    called_at = sh_now();
    if (call_error)
        return sh_l2cap_cause(call_error);
    *ret_fd = call_hangs ? never_writable() : reach(&peer_at, peer_size);
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

static inline void drop(void)
{
    if (ble)
        ble->driver->free(ble);
    ble = NULL;
}

static inline void on_heard(const struct sh_ble_heard *what, void *user SH_UNUSED)
{
    heard++;
    last_heard = *what;
    assert_true(what->payload.n <= sizeof(last_payload));
    memcpy(last_payload, what->payload.p, what->payload.n);
    if (free_when_heard)
        drop();
}

static inline void on_rx(struct sh_bytes bytes SH_UNUSED, void *user SH_UNUSED) {}

static inline void on_closed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static void on_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user SH_UNUSED)
{
    static const struct sh_stream_ops stream_ops = {.rx = on_rx, .closed = on_closed};
    streams++;
    last_stream = stream;
    stream->ops = &stream_ops;
}

static inline void on_connect_failed(enum sh_cause cause, void *user SH_UNUSED)
{
    connect_fails++;
    connect_cause = cause;
}

static inline void on_failed(enum sh_cause cause, void *user SH_UNUSED)
{
    fails++;
    fail_cause = cause;
    snprintf(fail_detail, sizeof(fail_detail), "%s", sh_detail());
}

static inline void on_note(const char *text, void *user SH_UNUSED)
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

static inline int set_up(void **state SH_UNUSED)
{
    fake_set_up();
    heard = streams = connect_fails = fails = calls = calls_while_scanning = 0;
    call_hangs = false;
    call_error = 0;
    supported = SH_OK;
    notes[0] = '\0';
    free_when_heard = free_when_noted = false;
    last_stream = NULL;
    return 0;
}

static inline int tear_down(void **state SH_UNUSED)
{
    drop();
    fake_tear_down();
    return 0;
}

static inline void open_radio(const char *adapter)
{
    assert_int_equal(sh_ble_bluez_new(fake_bus.base, adapter, &ops, NULL, &ble), SH_OK);
}

static inline struct sh_bytes payload_of(uint8_t seed)
{
    static uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert = {.version = 1, .psm = 0x80, .ref1m_dbm = 127};
    memset(advert.id, seed, sizeof(advert.id));
    return SH_BYTES(payload, sh_advert_encode(&advert, payload));
}

/* A radio that advertises. */
static inline void advertise(uint8_t seed)
{
    assert_int_equal(ble->driver->advertise(ble, payload_of(seed), 0), SH_OK);
}

static inline void all_up(void)
{
    fake_bus_start();
    fake_start();
    open_radio(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
